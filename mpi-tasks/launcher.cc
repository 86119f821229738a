#include "mpi-tasks/launcher.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "base/check.h"
#include "mpi-tasks/dead_segments.h"
#include "spool/rank_frames.h"
#include "spool/rank_places.h"
#include "transport/liveness.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

Message about_rank(Type type, Rank rank) {
  Message message;
  message.type = type;
  message.rank = rank;
  return message;
}

Upcall upcall_of(const Pmi1::Event& event) {
  const Upcall::Type type = event.type == Pmi1::Event::Type::kConnected   ? Upcall::Type::kConnected
                            : event.type == Pmi1::Event::Type::kFinalized ? Upcall::Type::kFinalized
                                                                          : Upcall::Type::kAborted;
  return {.type = type, .rank = event.rank, .status = event.status};
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
      processes_(io.unixEventPort, {stdout_, stderr_},
                 {spec_.directory, options_.files, spec_.here().name, options_.wall_us},
                 [this] { finish_if_idle(); }),
      pmix_(spec_, upcalls_),
      pmi1_(
          io.unixEventPort, {spec_.layout, spec_.node, spec_.nspace},
          [this](const Pmi1::Event& event) { upcalls_.put(upcall_of(event)); },
          [this](Message message) { star_.send(std::move(message)); }),
      star_(io, spec_, options_.seed, [this](Message message) { on_message(std::move(message)); }),
      calls_(
          timer_, pmix_, {spec_.fence_limit, spec_.modex_limit},
          [this](Message message) { star_.send(std::move(message)); },
          [this](std::string cause) {
            fail({kExitFailed, std::move(cause)});
          }),
      commands_(io, spec_, processes_, [this](Message message) { star_.send(std::move(message)); }),
      tasks_(*this) {}

Launcher::~Launcher() noexcept(false) = default;

void Launcher::run() {
  auto done = kj::newPromiseAndFulfiller<void>();
  done_ = kj::mv(done.fulfiller);
  watch_signals();
  // Others may connect, or we to them, while libpmix starts.
  if (const Result<Done> open = star_.open(); !open.ok()) {
    stderr_.say("leat-mpi-launcher: " + open.refusal().message);
    stderr_.drained().wait(io_.waitScope);
    _exit(open.refusal().reason == Reason::kInvalid ? kExitUsage : kExitFailed);
  }
  if (const std::optional<Failure> failure = prepare()) {
    // The hub may start after us.
    fail(*failure, transport::to_kj(spec_.registered_limit) + kVerdictDeadline);
  } else {
    tasks_.add(take_upcalls());
    star_.send(about_rank(Type::kRegistered, 0));
  }
  done.promise.wait(io_.waitScope);
  std::error_code ignored;
  if (made_directory_) std::filesystem::remove_all(spec_.private_directory, ignored);
  // libpmix is left as it is: its thread would use what our destructor takes away, its end takes
  // longer than a short job has, and what it would clean up was in that directory.
  _exit(code_);
}

void Launcher::watch_signals() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    tasks_.add(io_.unixEventPort.onSignal(signal).then([this, signal](const siginfo_t&) {
      hurry_ = true;
      if (told_.get() != nullptr) told_->fulfill();
      fail({kSignalBase + signal,
            "ended by SIG" + std::string(sigabbrev_np(signal)) + " on node " + spec_.here().name});
      // Whatever the hub will say.
      processes_.signal_all(SIGTERM);
    }));
}

std::optional<Failure> Launcher::start_coordination() {
  auto found = find_program(spec_.coordination.front(), spec_.directory,
                            value_of(other_environment_, "PATH"));
  if (const auto* nothing = std::get_if<NotStarted>(&found))
    return Failure{nothing->exit_code, nothing->message + " on node " + spec_.here().name};
  Processes::Wish wish{.frame = spool::kCoordination,
                       .program = std::get<std::string>(std::move(found)),
                       .arguments = spec_.coordination};
  return start_other(std::move(wish), "the coordination command", [this](RankExit exit) {
    if (exit.status == 0 && !exit.signalled) return star_.send(about_rank(Type::kCoordinated, 0));
    fail({failure_code(exit.status + (exit.signalled ? kSignalBase : 0)),
          "the coordination command on node " + spec_.here().name +
              how_it_ended(exit.status, exit.signalled)});
  });
}

std::optional<Failure> Launcher::start_application() {
  if (!spec_.is_hub()) return std::nullopt;
  Processes::Wish wish{
      .frame = spool::kApplication, .program = program_, .arguments = spec_.program};
  return start_other(std::move(wish), "the application", [this](RankExit exit) {
    Message message = about_rank(Type::kEnded, 0);
    message.status = exit.status;
    message.signalled = exit.signalled;
    star_.send(std::move(message));
  });
}

std::optional<Failure> Launcher::start_other(Processes::Wish wish, const std::string& what,
                                             Processes::OnEnd on_end) {
  wish.environment = other_environment_;
  auto started = processes_.start(wish, std::move(on_end));
  if (const auto* nothing = std::get_if<NotStarted>(&started))
    return Failure{nothing->exit_code,
                   what + " on node " + spec_.here().name + ": " + nothing->message};
  return std::nullopt;
}

std::optional<Failure> Launcher::start_program() {
  if (!spec_.coordination.empty())
    if (const std::optional<Failure> failure = look_for_program()) return failure;
  if (spec_.application) return start_application();
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const std::optional<NotStarted> nothing = start(ranks_[i], spec_.cpus[i]);
    if (nothing)
      return Failure{nothing->exit_code, "rank " + std::to_string(ranks_[i].rank) + " on node " +
                                             spec_.here().name + ": " + nothing->message};
  }
  tell_places();
  return std::nullopt;
}

// In the turn in which the ranks were started, so no end of theirs has been noticed, and nearly all
// that they write comes behind it.
void Launcher::tell_places() {
  std::string lines;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const int pid = processes_.pid(ranks_[i].process);
    spool::RankPlace place{
        .rank = ranks_[i].rank, .pid = static_cast<std::uint32_t>(pid), .host = spec_.here().name};
    if (!spec_.cpus[i].empty()) place.cpus = cpus_of(pid);
    lines += spool::rank_place_line(place);
  }
  stderr_.tell_places(lines);
}

std::optional<NotStarted> Launcher::start(LocalRank& local,
                                          const std::vector<std::uint16_t>& cpus) {
  Result<kj::AutoCloseFd> pmi = pmi1_.open(local.rank);
  if (!pmi.ok()) return NotStarted{kExitNotExecutable, pmi.refusal().message};
  Processes::Wish wish{.frame = local.rank,
                       .program = program_,
                       .arguments = spec_.program,
                       .environment = std::exchange(local.environment, {}),
                       .cpus = cpus,
                       .pmi_fd = pmi.value().get()};
  auto started = processes_.start(wish, [this, rank = local.rank](RankExit exit) {
    pmi1_.close(rank);
    // Behind what was put there before: the rank's MPI_Finalize, perhaps.
    upcalls_.put({.type = Upcall::Type::kExited,
                  .rank = rank,
                  .status = exit.status,
                  .signalled = exit.signalled});
  });
  if (auto* nothing = std::get_if<NotStarted>(&started)) return std::move(*nothing);
  local.running = true;
  local.process = std::get<Processes::Id>(started);
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
    bystander_ = message.signalled;
    return end(message.status, message.text);
  }
  switch (message.type) {
    case Type::kExecute:
    case Type::kOutput:
    case Type::kMore:
    case Type::kExecuted:
    case Type::kHangUp:
      return commands_.take(message);
    case Type::kCollected:
      if (message.gathering == Gathering::kBarrier) return pmi1_.take(message);
      return calls_.take(std::move(message));
    case Type::kCoordinate:
    case Type::kStart:
      break;
    default:
      return calls_.take(std::move(message));
  }
  if (ended_ || own_failure_) return;
  const std::optional<Failure> failure =
      message.type == Type::kStart ? start_program() : start_coordination();
  if (failure) fail(*failure);
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
  Message message = about_rank(Type::kRankEnded, upcall.rank);
  message.status = upcall.status;
  message.signalled = upcall.signalled;
  message.stage = local->stage;
  star_.send(std::move(message));
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
  message.signalled = hurry_;
  own_failure_ = std::move(failure);
  star_.send(std::move(message));
  tasks_.add(
      timer_.afterDelay(patience).then([this] { end(own_failure_->code, own_failure_->cause); }));
}

void Launcher::end(std::int32_t code, const std::string& cause) {
  if (std::exchange(ended_, true)) return;
  code_ = code;
  commands_.close();
  if (!cause.empty())
    stderr_.say("leat-mpi-launcher: " + std::string(code == 0 ? "warning: " : "") + cause);
  if (processes_.running() > 0) {
    processes_.signal_all(SIGTERM);
    tasks_.add(timer_.afterDelay(transport::to_kj(spec_.grace)).then([this] {
      processes_.signal_all(SIGKILL);
    }));
  }
  finish_if_idle();
}

void Launcher::finish_if_idle() {
  if (!ended_ || processes_.running() > 0 || std::exchange(finishing_, true)) return;
  tasks_.add(finish());
}

kj::Promise<void> Launcher::finish() {
  // What ranks have started and left behind also holds their pipes.
  end_abandoned();
  if (spec_.application && spec_.is_hub()) remove_dead_segments();
  // Now, for the hub waits until the others have left.
  kj::Promise<void> closed = star_.close(hurry_);
  kj::Promise<void> drained = stdout_.drained().then([this] { return stderr_.drained(); });
  // Of a gang that fails, a reader who does not read gets no more than the grace.
  if (code_ != 0) drained = drained.exclusiveJoin(timer_.afterDelay(transport::to_kj(spec_.grace)));
  return drained.then([closed = kj::mv(closed)]() mutable { return kj::mv(closed); })
      .then([this] { return leave_to_others(); })
      .then([this] { done_->fulfill(); });
}

kj::Promise<void> Launcher::leave_to_others() {
  if (!bystander_ || hurry_) return kj::READY_NOW;
  auto told = kj::newPromiseAndFulfiller<void>();
  told_ = kj::mv(told.fulfiller);
  const kj::Duration patience = transport::to_kj(spec_.grace) + kOrderDeadline;
  return timer_.afterDelay(patience).exclusiveJoin(kj::mv(told.promise));
}

void Launcher::taskFailed(kj::Exception&& exception) {
  const kj::StringPtr text = exception.getDescription();
  fail({kExitFailed, "node " + spec_.here().name + ": " + std::string(text.cStr(), text.size())});
}

}  // namespace leat::mpi
