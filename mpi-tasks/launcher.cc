#include "mpi-tasks/launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/check.h"
#include "transport/liveness.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

constexpr std::int32_t kExitFailed = 1;
constexpr std::int32_t kExitUsage = 2;
constexpr std::int32_t kSignalBase = 128;

struct PipeEnds {
  kj::AutoCloseFd reader;
  kj::AutoCloseFd writer;
};

PipeEnds make_pipe() {
  std::array<int, 2> ends{-1, -1};
  (void)!pipe2(ends.data(), O_CLOEXEC);
  return {kj::AutoCloseFd(ends[0]), kj::AutoCloseFd(ends[1])};
}

Message about_rank(Type type, Rank rank) {
  Message message;
  message.type = type;
  message.rank = rank;
  return message;
}

// The same on all nodes of a gang.
std::uint64_t word_of(const std::string& name) {
  std::uint64_t word = 0xcbf29ce484222325u;
  for (const char c : name) word = (word ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return word;
}

}  // namespace

Launcher::Launcher(kj::AsyncIoContext& io, GangSpec spec, LauncherOptions options)
    : io_(io),
      timer_(io.provider->getTimer()),
      spec_(std::move(spec)),
      options_(std::move(options)),
      stdout_(io.unixEventPort, STDOUT_FILENO, options_.plain),
      stderr_(io.unixEventPort, STDERR_FILENO, options_.plain),
      upcalls_(io.unixEventPort),
      pmix_(spec_, upcalls_),
      star_(io, spec_, options_.seed, [this](Message message) { on_message(std::move(message)); }),
      calls_(
          timer_, pmix_, {spec_.fence_limit, spec_.modex_limit},
          [this](Message message) { star_.send(std::move(message)); },
          [this](std::string cause) {
            fail({kExitFailed, std::move(cause)});
          }),
      tasks_(*this) {}

Launcher::~Launcher() noexcept(false) = default;

int Launcher::run() {
  auto done = kj::newPromiseAndFulfiller<void>();
  done_ = kj::mv(done.fulfiller);
  watch_signals();
  // Others may connect, or we to them, while libpmix starts.
  if (const Result<Done> open = star_.open(); !open.ok()) {
    stderr_.say("leat-mpi-launcher: " + open.refusal().message);
    stderr_.drained().wait(io_.waitScope);
    return open.refusal().reason == Reason::kInvalid ? kExitUsage : kExitFailed;
  }
  if (const std::optional<Failure> failure = prepare()) {
    // The hub may start after us.
    fail(*failure, transport::to_kj(spec_.registered_limit) + kVerdictDeadline);
  } else {
    tasks_.add(take_upcalls());
    star_.send(about_rank(Type::kRegistered, 0));
  }
  done.promise.wait(io_.waitScope);
  const bool stopped = pmix_.stop();
  std::error_code ignored;
  if (made_directory_) std::filesystem::remove_all(spec_.private_directory, ignored);
  // Something of libpmix still runs, and would use what our destructor takes away.
  if (!stopped) _exit(code_);
  return code_;
}

void Launcher::watch_signals() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    tasks_.add(io_.unixEventPort.onSignal(signal).then([this, signal](const siginfo_t&) {
      hurry_ = true;
      fail({kSignalBase + signal,
            "ended by SIG" + std::string(sigabbrev_np(signal)) + " on node " + spec_.here().name});
      // Whatever the hub will say.
      signal_ranks(SIGTERM);
    }));
}

std::optional<Failure> Launcher::prepare() {
  const std::string& node = spec_.here().name;
  // A private directory of our making is one that we may remove.
  if (::mkdir(spec_.private_directory.c_str(), 0700) != 0)
    return Failure{kExitFailed, spec_.private_directory + ": cannot be made on node " + node +
                                    ": " + std::strerror(errno)};
  made_directory_ = true;
  const std::string memory = spec_.private_directory + "/memory";
  if (::mkdir(memory.c_str(), 0700) != 0)
    return Failure{kExitFailed, memory + ": cannot be made: " + std::strerror(errno)};

  RankSurroundings surroundings{options_.inherited, spec_.environment,     memory,
                                spec_.interfaces,   word_of(spec_.nspace), spec_.oversubscribed(),
                                options_.has_psm,   spec_.layout.size()};
  const Variables plain = rank_environment(surroundings, {}, 0, 0);
  auto found = find_program(spec_.program.front(), spec_.directory, value_of(plain, "PATH"));
  if (const auto* nothing = std::get_if<NotStarted>(&found))
    return Failure{nothing->exit_code, nothing->message + " on node " + node};
  program_ = std::get<std::string>(std::move(found));

  if (const Result<Done> started = pmix_.start(spec_.private_directory); !started.ok())
    return Failure{kExitFailed, "node " + node + ": " + started.refusal().message};
  std::uint32_t local_rank = 0;
  for (const Rank rank : spec_.here().ranks) {
    const Result<Variables> variables = pmix_.variables_of(rank);
    if (!variables.ok())
      return Failure{kExitFailed, "node " + node + ": " + variables.refusal().message};
    ranks_.push_back(
        {.rank = rank,
         .environment = rank_environment(surroundings, variables.value(), rank, local_rank++)});
  }
  return std::nullopt;
}

std::optional<Failure> Launcher::start_ranks() {
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const std::optional<NotStarted> nothing = start(ranks_[i], spec_.cpus[i]);
    if (nothing)
      return Failure{nothing->exit_code, "rank " + std::to_string(ranks_[i].rank) + " on node " +
                                             spec_.here().name + ": " + nothing->message};
  }
  return std::nullopt;
}

std::optional<NotStarted> Launcher::start(LocalRank& local,
                                          const std::vector<std::uint16_t>& cpus) {
  PipeEnds out = make_pipe();
  PipeEnds error = make_pipe();
  if (out.reader.get() < 0 || error.reader.get() < 0)
    return NotStarted{kExitNotExecutable, std::string("no pipes: ") + std::strerror(errno)};
  auto started = start_rank({program_, spec_.program, local.environment, spec_.directory, cpus,
                             out.writer.get(), error.writer.get(), options_.files});
  if (auto* nothing = std::get_if<NotStarted>(&started)) return std::move(*nothing);
  local.process = std::get<RankProcess>(std::move(started));
  local.environment.clear();
  local.running = true;
  ++running_;
  stdout_.add(local.rank, kj::mv(out.reader));
  stderr_.add(local.rank, kj::mv(error.reader));
  local.observer = kj::heap<kj::UnixEventPort::FdObserver>(
      io_.unixEventPort, local.process.pidfd.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
  tasks_.add(local.observer->whenBecomesReadable().then([this, &local] {
    const RankExit exit = reap(local.process);
    // Behind what libpmix has put there before: the rank's MPI_Finalize, perhaps.
    upcalls_.put({.type = Upcall::Type::kExited,
                  .rank = local.rank,
                  .status = exit.status,
                  .signalled = exit.signalled});
  }));
  return std::nullopt;
}

kj::Promise<void> Launcher::take_upcalls() {
  return upcalls_.take().then([this](std::vector<Upcall> upcalls) {
    for (Upcall& upcall : upcalls) on_upcall(std::move(upcall));
    return take_upcalls();
  });
}

void Launcher::on_message(Message message) {
  if (message.type == Type::kEnd) {
    // That the hub is lost matters less than what we wanted to tell it.
    if (message.flag && own_failure_) return end(own_failure_->code, own_failure_->cause);
    return end(message.status, message.text);
  }
  if (message.type != Type::kStart) return calls_.take(std::move(message));
  if (ended_ || own_failure_) return;
  if (const std::optional<Failure> failure = start_ranks()) fail(*failure);
}

void Launcher::on_upcall(Upcall upcall) {
  LocalRank* local = find(upcall.rank);
  switch (upcall.type) {
    case Upcall::Type::kConnected:
      if (local == nullptr || local->stage != Stage::kStarted) return;
      local->stage = Stage::kConnected;
      return star_.send(about_rank(Type::kConnected, upcall.rank));
    case Upcall::Type::kFinalized:
      if (local != nullptr) local->stage = Stage::kFinalized;
      return pmix_.answer(upcall, kPmixSuccess);
    case Upcall::Type::kAborted: {
      Message message = about_rank(Type::kAborted, upcall.rank);
      message.status = upcall.status;
      message.text = upcall.text;
      star_.send(std::move(message));
      // The rank waits for this to exit.
      return pmix_.answer(upcall, kPmixSuccess);
    }
    case Upcall::Type::kExited:
      return on_exit(upcall);
    default:
      return calls_.take(std::move(upcall));
  }
}

void Launcher::on_exit(const Upcall& upcall) {
  LocalRank* local = find(upcall.rank);
  LEAT_CHECK(local != nullptr && local->running);
  local->running = false;
  --running_;
  Message message = about_rank(Type::kRankEnded, upcall.rank);
  message.status = upcall.status;
  message.signalled = upcall.signalled;
  message.stage = local->stage;
  star_.send(std::move(message));
  finish_if_idle();
}

Launcher::LocalRank* Launcher::find(Rank rank) {
  for (LocalRank& local : ranks_)
    if (local.rank == rank) return &local;
  return nullptr;
}

void Launcher::fail(Failure failure, kj::Duration patience) {
  if (ended_ || own_failure_) return;
  Message message;
  message.type = Type::kFailed;
  message.status = failure.code;
  message.text = failure.cause;
  own_failure_ = std::move(failure);
  star_.send(std::move(message));
  tasks_.add(
      timer_.afterDelay(patience).then([this] { end(own_failure_->code, own_failure_->cause); }));
}

void Launcher::end(std::int32_t code, const std::string& cause) {
  if (std::exchange(ended_, true)) return;
  code_ = code;
  if (!cause.empty())
    stderr_.say("leat-mpi-launcher: " + std::string(code == 0 ? "warning: " : "") + cause);
  if (running_ > 0) {
    signal_ranks(SIGTERM);
    tasks_.add(
        timer_.afterDelay(transport::to_kj(spec_.grace)).then([this] { signal_ranks(SIGKILL); }));
  }
  finish_if_idle();
}

void Launcher::signal_ranks(int signal) {
  for (const LocalRank& local : ranks_)
    if (local.running) kill(-local.process.pid, signal);
}

void Launcher::finish_if_idle() {
  if (!ended_ || running_ > 0 || std::exchange(finishing_, true)) return;
  tasks_.add(finish());
}

kj::Promise<void> Launcher::finish() {
  // What ranks have started and left behind also holds their pipes.
  end_abandoned();
  // Now, for the hub waits until the others have left.
  kj::Promise<void> closed = star_.close(hurry_);
  kj::Promise<void> drained = stdout_.drained().then([this] { return stderr_.drained(); });
  // Of a gang that fails, a reader who does not read gets no more than the grace.
  if (code_ != 0) drained = drained.exclusiveJoin(timer_.afterDelay(transport::to_kj(spec_.grace)));
  return drained.then([closed = kj::mv(closed)]() mutable { return kj::mv(closed); }).then([this] {
    done_->fulfill();
  });
}

void Launcher::taskFailed(kj::Exception&& exception) {
  const kj::StringPtr text = exception.getDescription();
  fail({kExitFailed, "node " + spec_.here().name + ": " + std::string(text.cStr(), text.size())});
}

}  // namespace leat::mpi
