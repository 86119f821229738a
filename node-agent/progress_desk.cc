#include "node-agent/progress_desk.h"

#include <kj/debug.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace leat::agent {
namespace {

// Of the sender, as the kernel has it. There is no room for anything else that is sent along, so
// that no descriptor of a stranger ever comes to be ours.
bool is_ours(const msghdr& message) {
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head == nullptr || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_CREDENTIALS)
    return false;
  ucred sender{};
  std::memcpy(&sender, CMSG_DATA(head), sizeof sender);
  return sender.uid == ::geteuid();
}

}  // namespace

ProgressDesk::ProgressDesk(kj::UnixEventPort& port, kj::Timer& timer, const std::string& directory,
                           const LogLine& say, IsRunning is_running)
    : timer_(timer), is_running_(std::move(is_running)), tasks_(*this) {
  const std::string path = directory + "/progress.socket";
  const std::string why = open(path);
  if (!why.empty()) {
    say(path + ": " + why + ": tasks cannot tell how far they are");
    return;
  }
  path_ = path;
  observer_ = kj::heap<kj::UnixEventPort::FdObserver>(port, fd_.get(),
                                                      kj::UnixEventPort::FdObserver::OBSERVE_READ);
  tasks_.add(drain());
}

std::string ProgressDesk::open(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return "more than the " + std::to_string(sizeof address.sun_path - 1) +
           " characters that a socket's name may have";
  path.copy(address.sun_path, path.size());
  fd_ = kj::AutoCloseFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  const bool bound =
      fd_.get() >= 0 && (::unlink(path.c_str()) == 0 || errno == ENOENT) &&
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) == 0 &&
      ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::chmod(path.c_str(), 0600) == 0;
  return bound ? std::string() : std::strerror(errno);
}

void ProgressDesk::taskFailed(kj::Exception&& exception) {
  // Nothing in here rejects but by a mistake of ours; runs live on under the warden.
  kj::throwFatalException(kj::mv(exception));
}

kj::Promise<void> ProgressDesk::listen() {
  return observer_->whenBecomesReadable().then([this]() { return drain(); });
}

kj::Promise<void> ProgressDesk::drain() {
  for (std::size_t n = 0; n < kWordsAtOnce; ++n)
    if (!take_one()) return listen();
  return timer_.afterDelay(kPause).then([this]() { return drain(); });
}

// False when there is nothing more to read.
bool ProgressDesk::take_one() {
  std::array<char, kProgressRecordMax> text{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  iovec piece{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  if (size < 0) return errno == EINTR;
  if ((message.msg_flags & MSG_TRUNC) != 0 || !is_ours(message)) return true;
  std::optional<TaskProgress> word =
      parse_progress(std::string_view(text.data(), static_cast<std::size_t>(size)));
  // A process left over from an earlier run still says that run's name.
  if (!word || !is_running_(word->run)) return true;
  if (board_.size() >= ProgressBoard::kRunsMax) board_.keep_only(is_running_);
  if (board_.take(std::move(*word))) tell_soon();
  return true;
}

void ProgressDesk::joined() {
  connected_ = true;
  ++session_;
  telling_ = false;
  board_.all_is_news();
  tell_soon();
}

void ProgressDesk::parted() {
  connected_ = false;
}

// Never two at once, so a slow head hears less.
void ProgressDesk::tell_soon() {
  if (!connected_ || !board_.has_news() || std::exchange(telling_, true)) return;
  const kj::TimePoint due = std::max(timer_.now(), told_ + kInterval);
  tasks_.add(timer_.atTime(due).then([this, session = session_]() {
    if (session == session_) tell();
  }));
}

void ProgressDesk::tell() {
  board_.keep_only(is_running_);
  const std::vector<TaskProgress> news = board_.news();
  telling_ = false;
  if (!connected_ || !teller_ || news.empty()) return;
  telling_ = true;
  told_ = timer_.now();
  tasks_.add(teller_(news).then(
      [this, session = session_]() {
        if (session != session_) return;
        telling_ = false;
        tell_soon();
      },
      // It hears everything at the next join, unless it is too old for the word at all.
      [](kj::Exception&&) {}));
}

}  // namespace leat::agent
