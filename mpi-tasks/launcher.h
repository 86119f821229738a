#pragma once

// launcher.h - one gang on one node, from registering it to the last process gone.

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop/mailbox.h"
#include "mpi-tasks/calls.h"
#include "mpi-tasks/commands.h"
#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/pmi1_server.h"
#include "mpi-tasks/pmix_server.h"
#include "mpi-tasks/processes.h"
#include "mpi-tasks/rank_book.h"
#include "mpi-tasks/rank_environment.h"
#include "mpi-tasks/rank_output.h"
#include "mpi-tasks/star.h"

namespace leat::mpi {

inline constexpr std::int32_t kExitFailed = 1;
inline constexpr std::int32_t kExitUsage = 2;

// What main() knows and the gang file does not.
struct LauncherOptions {
  Variables inherited;
  bool plain = false;    // output is not framed by rank
  bool has_psm = false;  // see RankSurroundings
  std::uint64_t seed = 0;
  std::string token;                      // for leat-rsh, this launcher's own
  std::string rsh;                        // the path of leat-rsh
  std::string shell;                      // the user's
  rlimit files{};                         // what ranks may open
  std::function<std::int64_t()> wall_us;  // since 1970
};

// Owns everything below it. Borrows io. Thread: the loop's; SIGTERM, SIGINT and SIGHUP are blocked
// and captured. We are a child subreaper.
//
// Invariants:
//   - No rank starts before the hub has said that every node has registered the gang.
//   - Between kEnd, or SIGTERM, and the end of all that runs lies no more than the grace and a
//     moment.
//   - The private directory is ours from its making to its removal.
class Launcher final : private kj::TaskSet::ErrorHandler {
 public:
  Launcher(kj::AsyncIoContext& io, GangSpec spec, LauncherOptions options);
  ~Launcher() noexcept(false);

  // Ends the process with the gang's exit code when nothing of it is left on this node.
  [[noreturn]] void run();

 private:
  // How long the hub may take to say how the gang ends once we have told it that it must.
  static constexpr kj::Duration kVerdictDeadline = 2 * kj::SECONDS;
  // How long our order to end may come after the grace that those have who had theirs before.
  static constexpr kj::Duration kOrderDeadline = 5 * kj::SECONDS;

  struct LocalRank {
    Rank rank = 0;
    std::vector<std::string> environment{};
    Stage stage = Stage::kStarted;
    bool running = false;
    Processes::Id process = 0;
  };

  void watch_signals();
  // These return the exit code and the reason if they fail. First: everything that can fail before
  // anything starts.
  std::optional<Failure> prepare();
  std::optional<Failure> make_directories();
  std::optional<Failure> prepare_ranks();
  std::optional<Failure> prepare_application();
  std::optional<Failure> look_for_program();
  std::optional<Failure> start_coordination();
  std::optional<Failure> start_program();
  std::optional<Failure> start_application();
  std::optional<NotStarted> start(LocalRank& local, const std::vector<std::uint16_t>& cpus);
  void tell_places();
  // Of what is no rank.
  std::optional<Failure> start_other(Processes::Wish wish, const std::string& what,
                                     Processes::OnEnd on_end);
  kj::Promise<void> take_upcalls();

  void on_message(Message message);
  void on_upcall(Upcall upcall);
  void on_exit(const Upcall& upcall);
  LocalRank* find(Rank rank);

  // We cannot go on: tells the hub, which ends the gang. Should it not say so within `patience`, we
  // end by ourselves.
  void fail(Failure failure, kj::Duration patience = kVerdictDeadline);
  void end(std::int32_t code, const std::string& cause);
  void finish_if_idle();
  kj::Promise<void> finish();
  // Where another launcher was told to end, only those who told it know why: a time limit, a
  // person, a node that is given up. Our exit code would say that the program has failed, and must
  // not be heard first. So we wait for our own order, though not for ever.
  kj::Promise<void> leave_to_others();
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoContext& io_;
  kj::Timer& timer_;
  const GangSpec spec_;
  const LauncherOptions options_;
  RankOutput stdout_;
  RankOutput stderr_;
  Mailbox<Upcall> upcalls_;
  Processes processes_;
  PmixServer pmix_;
  Pmi1Server pmi1_;
  RankSurroundings surroundings_;
  Variables other_environment_;  // of the coordination and the application command
  std::string program_;
  std::vector<LocalRank> ranks_;
  std::optional<Failure> own_failure_;  // the hub has been told
  bool ended_ = false;                  // no rank will be started, those that run are told to end
  bool finishing_ = false;
  bool made_directory_ = false;
  bool hurry_ = false;      // who started us wants us gone
  bool bystander_ = false;  // who started another launcher wants that one gone
  std::int32_t code_ = 0;
  kj::Own<kj::PromiseFulfiller<void>> done_;
  kj::Own<kj::PromiseFulfiller<void>> told_;  // set while leave_to_others() waits
  Star star_;
  Calls calls_;
  Commands commands_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
