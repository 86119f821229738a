// top.cc - `leat top`: the cluster as it is, on one page that keeps up.

#include <unistd.h>

#include "cli/command.h"
#include "cli/head.h"
#include "cli/screen.h"
#include "cli/top_view.h"

namespace leat::cli {
namespace {

using OverviewResponse = capnp::Response<schema::OverviewResult>;

constexpr std::uint32_t kJobsShown = 200;
constexpr std::uint32_t kNodesShown = 4'096;
// The clock on the page goes on, and a head that is away is tried again.
constexpr kj::Duration kRedraw = 1 * kj::SECONDS;
// --once into a file is as wide as a screen often is, and as long as it takes.
constexpr ScreenSize kOnceSize{100'000, 120};

class Top final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--once", once_, "print the page once and return");
    arguments.flag("--json", json_, "machine-readable output, with --once");
  }

  ExitCode run(Shell& shell) override {
    if (json_ && !once_) fail(ExitCode::kUsage, "--json: give --once too");
    if (!once_ && (::isatty(STDOUT_FILENO) == 0 || ::isatty(STDIN_FILENO) == 0))
      fail(ExitCode::kUsage, "top needs a terminal: use --once");
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    if (once_) {
      ask(shell, head, kj::NEVER_DONE);
      shell.console.out(json_ ? json_document(model_.document()) : model_.page(kOnceSize, false));
      return ExitCode::kDone;
    }
    // Whatever is wrong from the start is said on the screen that is there.
    ask(shell, head, kj::NEVER_DONE);
    return show(shell, head);
  }

 private:
  ExitCode show(Shell& shell, Head& head) {
    capture_screen_signals();
    kj::Timer& timer = shell.io.provider->getTimer();
    Screen screen(shell.io.unixEventPort);
    while (!screen.wants_to_leave()) {
      screen.show(model_.page(screen.size(), true));
      try {
        ask(shell, head, screen.on_event());
      } catch (const Failure& failure) {
        if (failure.code != ExitCode::kUnreachable) throw;
        model_.set_notice("no head answers; trying again");
        screen.show(model_.page(screen.size(), true));
        screen.on_event().exclusiveJoin(timer.afterDelay(kRedraw)).wait(shell.io.waitScope);
      }
    }
    return screen.signal() ? static_cast<ExitCode>(128 + *screen.signal()) : ExitCode::kDone;
  }

  // Takes in what has changed, or returns when `interrupted`, or when it is time to draw again.
  void ask(Shell& shell, Head& head, kj::Promise<void> interrupted) {
    kj::Timer& timer = shell.io.provider->getTimer();
    const kj::TimePoint start = kj::origin<kj::TimePoint>();
    auto stop = interrupted.fork();
    const kj::Maybe<OverviewResponse> response = head.ask([&](schema::Scheduler::Client& client) {
      auto request = client.overviewRequest();
      request.setCursor(model_.cursor());
      request.setJobsMax(kJobsShown);
      request.setNodesMax(kNodesShown);
      using Maybe = kj::Maybe<OverviewResponse>;
      kj::Promise<Maybe> answer = request.send().then(
          [](OverviewResponse&& overview) -> Maybe { return kj::mv(overview); });
      answer = answer.exclusiveJoin(stop.addBranch().then([]() -> Maybe { return nullptr; }));
      if (model_.cursor() == 0) return answer;
      return answer.exclusiveJoin(
          timer.afterDelay(kRedraw).then([]() -> Maybe { return nullptr; }));
    });
    KJ_IF_MAYBE (found, response) {
      const schema::OverviewResult::Reader result = *found;
      if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
      model_.observe(result.getOverview(), Duration((timer.now() - start) / kj::MICROSECONDS));
    }
  }

  bool once_ = false;
  bool json_ = false;
  TopModel model_;
};

constexpr std::string_view kTopDetails =
    R"(Shows pools, nodes and jobs on the whole terminal and keeps up with them; q leaves.
A node is one character: · idle, ░ ▒ ▓ █ more and more of its cores taken, + coming,
x closed to new work, ! lost. A job has the rate of the last seconds and the time left
at that rate.

  leat top
  leat top --once --json)";

}  // namespace

const CommandEntry kTop{"top", "watch pools, nodes and jobs", kTopDetails, build_command<Top>};

}  // namespace leat::cli
