#include "mpi-tasks/rank_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace leat::mpi {
namespace {

using Started = std::variant<RankProcess, NotStarted>;

// What a process started this way is to know.
struct Wish {
  std::string program = "/bin/sh";
  std::vector<std::string> arguments{"sh", "-c", "exit 0"};
  std::string directory = "/";
  std::vector<std::uint16_t> cpus{};
  std::uint64_t files = 256;
};

struct Outcome {
  RankExit exit;
  std::string out;
};

Started start(const Wish& wish, int out) {
  const std::vector<std::string> environment{"ONLY=this"};
  return start_rank({wish.program,
                     wish.arguments,
                     environment,
                     wish.directory,
                     wish.cpus,
                     out,
                     STDERR_FILENO,
                     -1,
                     {wish.files, wish.files}});
}

Outcome run(const Wish& wish) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const kj::AutoCloseFd reader(ends[0]);
  kj::AutoCloseFd writer(ends[1]);
  const Started started = start(wish, writer.get());
  writer = nullptr;
  const auto* process = std::get_if<RankProcess>(&started);
  if (process == nullptr) {
    ADD_FAILURE() << std::get<NotStarted>(started).message;
    return {};
  }
  Outcome outcome;
  char bytes[512];
  for (ssize_t n = 0; (n = ::read(reader.get(), bytes, sizeof bytes)) > 0;)
    outcome.out.append(bytes, static_cast<std::size_t>(n));
  pollfd ended{process->pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1);
  outcome.exit = reap(*process);
  return outcome;
}

Outcome shell(const std::string& script) {
  Wish wish;
  wish.arguments = {"sh", "-c", script};
  return run(wish);
}

TEST(RankProcess, TellsExitCodesFromSignals) {
  const RankExit code = shell("exit 7").exit;
  EXPECT_EQ(code.status, 7);
  EXPECT_FALSE(code.signalled);
  const RankExit signal = shell("kill -9 $$").exit;
  EXPECT_EQ(signal.status, 9);
  EXPECT_TRUE(signal.signalled);
}

TEST(RankProcess, InheritsNothingButWhatItIsGiven) {
  const kj::AutoCloseFd extra(::open("/dev/null", O_RDONLY));  // not close-on-exec
  EXPECT_EQ(shell("echo /proc/$$/fd/*").out.find("/" + std::to_string(extra.get()) + " "),
            std::string::npos);
  EXPECT_EQ(shell("echo $ONLY $HOME; pwd; cat; ulimit -n").out, "this\n/\n256\n");
}

TEST(RankProcess, HasDefaultSignalsAndAGroupOfItsOwn) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  const std::string out =
      // What a child of the shell inherits: the shell itself blocks signals while it starts one.
      shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f5 /proc/$$/stat; echo $$").out;
  ::signal(SIGPIPE, before);
  EXPECT_NE(out.find("SigBlk:\t0000000000000000"), std::string::npos) << out;
  EXPECT_NE(out.find("SigIgn:\t0000000000000000"), std::string::npos) << out;
  const std::string ids = out.substr(out.find("SigIgn:"));
  const std::size_t first = ids.find('\n') + 1;
  const std::size_t second = ids.find('\n', first) + 1;
  EXPECT_EQ(ids.substr(first, second - first), ids.substr(second)) << out;
}

TEST(RankProcess, ThatCannotBeStartedSaysWhyAsShellsDo) {
  Wish wish;
  wish.program = "/nonexistent";
  EXPECT_EQ(std::get<NotStarted>(start(wish, 1)).exit_code, 127);
  wish.program = "/etc/passwd";
  EXPECT_EQ(std::get<NotStarted>(start(wish, 1)).exit_code, 126);
  wish = {};
  wish.directory = "/nonexistent";
  EXPECT_EQ(std::get<NotStarted>(start(wish, 1)).message,
            "/nonexistent: ranks cannot start there: No such file or directory");
  wish = {};
  wish.cpus = {4000};
  EXPECT_EQ(std::get<NotStarted>(start(wish, 1)).message,
            "a rank cannot be bound to its CPUs: Invalid argument");
}

TEST(RankProcess, ProgramsAreFoundAsShellsFindThem) {
  EXPECT_EQ(std::get<std::string>(find_program("sh", "/", "/nonexistent:/bin")), "/bin/sh");
  EXPECT_EQ(std::get<std::string>(find_program("./sh", "/bin", "")), "/bin/./sh");
  EXPECT_EQ(std::get<std::string>(find_program("/bin/sh", "/tmp", "")), "/bin/sh");
  EXPECT_EQ(std::get<NotStarted>(find_program("no-such", "/", "/bin")).exit_code, 127);
  const NotStarted denied = std::get<NotStarted>(find_program("passwd", "/", "/etc"));
  EXPECT_EQ(denied.exit_code, 126);
  EXPECT_EQ(denied.message, "/etc/passwd: is not an executable file");
}

}  // namespace
}  // namespace leat::mpi
