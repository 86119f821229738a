#include "mpi-tasks/pmi1_server.h"

#include <kj/debug.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "mpi-tasks/rank_process.h"

namespace leat::mpi {

Pmi1Server::Connection::Connection(kj::UnixEventPort& port, Rank whose, kj::AutoCloseFd end)
    : rank(whose),
      fd(kj::mv(end)),
      observer(port, fd.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ) {}

Pmi1Server::Pmi1Server(kj::UnixEventPort& port, Place place, OnEvent on_event, Send send)
    : port_(port),
      pmi1_(place.layout, place.node, std::move(place.name)),
      size_(place.layout.size()),
      on_event_(std::move(on_event)),
      send_(std::move(send)),
      tasks_(*this) {}

Pmi1Server::~Pmi1Server() noexcept(false) = default;

Result<kj::AutoCloseFd> Pmi1Server::open(Rank rank) {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return invalid(std::string("no socket for PMI: ") + std::strerror(errno));
  connections_.try_emplace(rank, port_, rank, kj::AutoCloseFd(ends[0]));
  tasks_.add(read_on(rank));
  return kj::AutoCloseFd(ends[1]);
}

std::vector<std::string> Pmi1Server::variables_of(Rank rank) const {
  return {"PMI_FD=" + std::to_string(kPmiFd), "PMI_RANK=" + std::to_string(rank),
          "PMI_SIZE=" + std::to_string(size_), "PMI_SPAWNED=0"};
}

void Pmi1Server::close(Rank rank) {
  const auto at = connections_.find(rank);
  if (at != connections_.end()) read_now(at->second);
}

void Pmi1Server::take(const Message& message) {
  act(pmi1_.take_gathered(message.bytes));
}

kj::Promise<void> Pmi1Server::read_on(Rank rank) {
  Connection& connection = connections_.at(rank);
  if (!read_now(connection)) return kj::READY_NOW;
  return connection.observer.whenBecomesReadable().then([this, rank] { return read_on(rank); });
}

bool Pmi1Server::read_now(Connection& connection) {
  std::array<char, kPmi1LineMax> bytes;
  while (connection.line.size() <= kPmi1LineMax) {
    const ssize_t got = ::recv(connection.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    connection.line.append(bytes.data(), static_cast<std::size_t>(got));
    take_lines(connection);
  }
  // Longer than any request. The rank gets no answer, and an end.
  ::shutdown(connection.fd.get(), SHUT_RDWR);
  return false;
}

void Pmi1Server::take_lines(Connection& connection) {
  for (std::size_t end = 0; (end = connection.line.find('\n')) != std::string::npos;) {
    const std::string line = connection.line.substr(0, end);
    connection.line.erase(0, end + 1);
    act(pmi1_.take(connection.rank, line));
  }
}

void Pmi1Server::act(Pmi1::Outs outs) {
  for (const Pmi1::Answer& answer : outs.answers) {
    const Connection& connection = connections_.at(answer.rank);
    // There is room: whoever asks waits for the answer. Who does not is cut off.
    if (::send(connection.fd.get(), answer.line.data(), answer.line.size(),
               MSG_DONTWAIT | MSG_NOSIGNAL) != static_cast<ssize_t>(answer.line.size()))
      ::shutdown(connection.fd.get(), SHUT_RDWR);
  }
  for (Pmi1::Event& event : outs.events) {
    if (event.type != Pmi1::Event::Type::kGathered) {
      on_event_(event);
      continue;
    }
    Message message;
    message.type = Message::Type::kCollect;
    message.gathering = Gathering::kBarrier;
    message.id = barriers_++;
    message.flag = true;
    message.bytes = std::move(event.bytes);
    send_(std::move(message));
  }
}

void Pmi1Server::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, exception);
  LEAT_CHECK(false);
}

}  // namespace leat::mpi
