#include "mpi-tasks/rank_output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "spool/rank_frames.h"
#include "spool/rank_places.h"

namespace leat::mpi {
namespace {

// A description of our own of a pipe or terminal, for non-blocking is a property of that, and
// others may share the one we were given. None for anything else: files never block.
kj::AutoCloseFd reopened(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return nullptr;
  if (S_ISSOCK(status.st_mode)) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return nullptr;
  }
  if (!S_ISFIFO(status.st_mode) && isatty(fd) == 0) return nullptr;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return kj::AutoCloseFd(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

}  // namespace

RankOutput::Pipe::Pipe(kj::UnixEventPort& port, Rank whose, kj::AutoCloseFd end, Tap also)
    : rank(whose),
      tap(std::move(also)),
      fd(kj::mv(end)),
      observer(port, fd.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ) {}

RankOutput::RankOutput(kj::UnixEventPort& port, int fd, bool plain)
    : port_(port),
      plain_(plain),
      own_(reopened(fd)),
      fd_(own_.get() >= 0 ? own_.get() : fd),
      tasks_(*this) {}

RankOutput::~RankOutput() noexcept(false) = default;

void RankOutput::add(Rank rank, kj::AutoCloseFd pipe, Tap tap, std::function<void()> ended) {
  fcntl(pipe.get(), F_SETFL, fcntl(pipe.get(), F_GETFL) | O_NONBLOCK);
  auto owned = kj::heap<Pipe>(port_, rank, kj::mv(pipe), std::move(tap));
  Pipe& here = *owned;
  ++open_pipes_;
  tasks_.add(read_on(here).attach(kj::mv(owned)).then([this, ended = std::move(ended)] {
    --open_pipes_;
    if (ended) ended();
    check_drained();
  }));
}

void RankOutput::say(std::string_view line) {
  append(spool::kNoRank, std::string(line) + "\n");
}

void RankOutput::tell_places(std::string_view lines) {
  if (broken_ || plain_ || lines.empty()) return;
  spool::append_about_ranks(waiting_, lines);
  begin_writing();
}

kj::Promise<void> RankOutput::drained() {
  auto end = kj::newPromiseAndFulfiller<void>();
  for_end_.push_back(kj::mv(end.fulfiller));
  check_drained();
  return kj::mv(end.promise);
}

kj::Promise<void> RankOutput::read_on(Pipe& pipe) {
  if (broken_) return kj::READY_NOW;
  if (waiting_.size() - written_ > kBufferedMax) {
    auto room = kj::newPromiseAndFulfiller<void>();
    for_room_.push_back(kj::mv(room.fulfiller));
    return room.promise.then([this, &pipe] { return read_on(pipe); });
  }
  std::array<char, kReadBytes> bytes;
  const ssize_t got = ::read(pipe.fd.get(), bytes.data(), bytes.size());
  if (got > 0) {
    const std::string_view content(bytes.data(), static_cast<std::size_t>(got));
    append(pipe.rank, content);
    if (pipe.tap) return pipe.tap(content).then([this, &pipe] { return read_on(pipe); });
    // One read a turn, so that no rank keeps the others waiting.
    return kj::evalLater([this, &pipe] { return read_on(pipe); });
  }
  if (got < 0 && errno == EINTR) return read_on(pipe);
  if (got < 0 && errno == EAGAIN)
    return pipe.observer.whenBecomesReadable().then([this, &pipe] { return read_on(pipe); });
  return kj::READY_NOW;
}

void RankOutput::append(std::uint32_t rank, std::string_view bytes) {
  if (broken_) return;
  if (plain_)
    waiting_.append(bytes);
  else
    spool::append_rank_frame(waiting_, rank, bytes);
  begin_writing();
}

void RankOutput::begin_writing() {
  if (!std::exchange(writing_, true)) tasks_.add(kj::evalLater([this] { return write_on(); }));
}

kj::Promise<void> RankOutput::write_on() {
  while (written_ < waiting_.size()) {
    const ssize_t n = ::write(fd_, waiting_.data() + written_, waiting_.size() - written_);
    if (n >= 0) {
      written_ += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      if (observer_.get() == nullptr)
        observer_ = kj::heap<kj::UnixEventPort::FdObserver>(
            port_, fd_, kj::UnixEventPort::FdObserver::OBSERVE_WRITE);
      waiting_.erase(0, std::exchange(written_, 0));
      return observer_->whenBecomesWritable().then([this] { return write_on(); });
    }
    broken_ = true;
    break;
  }
  waiting_.clear();
  written_ = 0;
  writing_ = false;
  for (auto& room : std::exchange(for_room_, {})) room->fulfill();
  check_drained();
  return kj::READY_NOW;
}

void RankOutput::check_drained() {
  if (open_pipes_ > 0 || writing_) return;
  for (auto& end : std::exchange(for_end_, {})) end->fulfill();
}

void RankOutput::taskFailed(kj::Exception&&) {
  broken_ = true;
  for (auto& room : std::exchange(for_room_, {})) room->fulfill();
}

}  // namespace leat::mpi
