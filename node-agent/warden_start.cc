#include "node-agent/warden_start.h"

#include <fcntl.h>
#include <kj/debug.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace leat::agent {

namespace {

using warden::AttachStatus;
using warden::Hello;
using warden::Welcome;

constexpr auto kPause = 20 * kj::MILLISECONDS;
// Tries while the place is taken: a killed agent's socket closes within milliseconds.
constexpr int kBusyTriesMax = 25;
constexpr int kWardenIsBusy = 3;  // its exit code when another one holds the directory

// The environment of this process without the mark of a task, by which a warden would later take
// another warden for something a task has left behind.
std::vector<char*> environment_for_warden() {
  std::vector<char*> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!std::string_view(*variable).starts_with("LEAT_RUN_TOKEN=")) variables.push_back(*variable);
  variables.push_back(nullptr);
  return variables;
}

// A descriptor that is waited for. The order of the members is that of their end: observer first.
struct Watched {
  Watched(kj::UnixEventPort& port, kj::AutoCloseFd watched)
      : fd(kj::mv(watched)), observer(port, fd, kj::UnixEventPort::FdObserver::OBSERVE_READ) {}

  kj::AutoCloseFd fd;
  kj::UnixEventPort::FdObserver observer;
};

// One attempt after the other, until attached.
class Attempts {
 public:
  Attempts(kj::UnixEventPort& port, kj::Timer& timer, WardenOptions options)
      : port_(port),
        timer_(timer),
        directory_(std::move(options.directory)),
        program_(std::move(options.program)),
        plain_(options.plain) {
    int fd = 0;
    KJ_SYSCALL(fd = open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), directory_);
    directory_fd_ = kj::AutoCloseFd(fd);
  }

  kj::Promise<WardenHandles> next() {
    kj::AutoCloseFd socket = connect();
    if (socket.get() < 0) return start_warden().then([this] { return after_pause(); });
    const Hello hello;
    if (send(socket, &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello) return after_pause();
    auto peer = kj::heap<Watched>(port_, kj::mv(socket));
    auto answered = peer->observer.whenBecomesReadable();
    return answered.then([this, peer = kj::mv(peer)]() mutable { return hear(*peer); });
  }

 private:
  kj::Promise<WardenHandles> after_pause() {
    return timer_.afterDelay(kPause).then([this] { return next(); });
  }

  // A connected socket, or none if nobody listens.
  kj::AutoCloseFd connect() {
    int fd = 0;
    KJ_SYSCALL(fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    kj::AutoCloseFd socket(fd);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // Through the descriptor, so that the directory's path may be longer than a socket's.
    const int length = std::snprintf(address.sun_path, sizeof address.sun_path,
                                     "/proc/self/fd/%d/warden.sock", directory_fd_.get());
    KJ_REQUIRE(length > 0 && static_cast<std::size_t>(length) < sizeof address.sun_path);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return socket;
    const int error = errno;
    KJ_REQUIRE(error == ENOENT || error == ECONNREFUSED || error == EAGAIN, "warden.sock",
               directory_, strerror(error));
    return {};
  }

  // Resolves when the warden's first process has ended: it serves, or another one does.
  kj::Promise<void> start_warden() {
    std::array<char*, 5> arguments{program_.data(), const_cast<char*>("--dir"), directory_.data(),
                                   plain_ ? const_cast<char*>("--plain") : nullptr, nullptr};
    std::vector<char*> environment = environment_for_warden();
    pid_t pid = 0;
    const int error =
        posix_spawn(&pid, program_.c_str(), nullptr, nullptr, arguments.data(), environment.data());
    KJ_REQUIRE(error == 0, "cannot start the warden", program_, strerror(error));
    int fd = 0;
    KJ_SYSCALL(fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    auto process = kj::heap<Watched>(port_, kj::AutoCloseFd(fd));
    auto ended = process->observer.whenBecomesReadable();
    return ended.then([this, pid, process = kj::mv(process)] {
      int status = 0;
      // NOLINTNEXTLINE(bugprone-suspicious-semicolon): KJ's macro ends in an else
      KJ_SYSCALL(waitpid(pid, &status, 0));
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      KJ_REQUIRE(code == 0 || code == kWardenIsBusy, "the warden did not start", program_,
                 directory_, code);
    });
  }

  kj::Promise<WardenHandles> hear(Watched& peer) {
    WardenHandles handles;
    std::array<int, 3> fds{-1, -1, -1};
    iovec part{&handles.welcome, sizeof handles.welcome};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = recvmsg(peer.fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got <= 0) return after_pause();  // it died, or has just let go of the agent before us
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof fds))
      std::memcpy(fds.data(), CMSG_DATA(header), sizeof fds);
    handles.memory = kj::AutoCloseFd(fds[0]);
    handles.to_warden = kj::AutoCloseFd(fds[1]);
    handles.to_agent = kj::AutoCloseFd(fds[2]);
    KJ_REQUIRE(got == sizeof handles.welcome && handles.welcome.magic == warden::kRingMagic,
               "what listens at warden.sock is not a warden", directory_);
    const AttachStatus status = handles.welcome.status;
    if (status == AttachStatus::kBusy && ++busy_tries_ < kBusyTriesMax) return after_pause();
    KJ_REQUIRE(status != AttachStatus::kBusy, "the warden already has an agent", directory_);
    KJ_REQUIRE(status == AttachStatus::kAttached, "the running warden is of another version",
               directory_, handles.welcome.version);
    KJ_REQUIRE(fds[2] >= 0, "the warden's answer is incomplete", directory_);
    int socket = 0;  // the observer keeps the other one until it has gone
    KJ_SYSCALL(socket = fcntl(peer.fd, F_DUPFD_CLOEXEC, 3));
    handles.socket = kj::AutoCloseFd(socket);
    return kj::mv(handles);
  }

  kj::UnixEventPort& port_;
  kj::Timer& timer_;
  std::string directory_;
  std::string program_;
  bool plain_;
  kj::AutoCloseFd directory_fd_;
  int busy_tries_ = 0;
};

}  // namespace

kj::Promise<WardenHandles> attach_to_warden(kj::UnixEventPort& port, kj::Timer& timer,
                                            WardenOptions options) {
  auto attempts = kj::heap<Attempts>(port, timer, std::move(options));
  auto attached = attempts->next();
  return attached.attach(kj::mv(attempts));
}

void ensure_node_token(const std::string& directory, const std::string& token) {
  const std::string path = directory + "/node.token";
  if (access(path.c_str(), F_OK) == 0) return;
  KJ_REQUIRE(token.size() == 32 && token.find_first_not_of("0123456789abcdef") == token.npos,
             "a node's token is 32 hexadecimal digits");
  const std::string draft = path + ".new";
  unlink(draft.c_str());
  int fd = 0;
  KJ_SYSCALL(fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
             draft);
  const kj::AutoCloseFd file(fd);
  KJ_REQUIRE(write(fd, token.data(), token.size()) == static_cast<ssize_t>(token.size()), draft);
  KJ_SYSCALL(fsync(fd), draft);
  KJ_SYSCALL(rename(draft.c_str(), path.c_str()), path);
}

}  // namespace leat::agent
