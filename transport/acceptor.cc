#include "transport/acceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <utility>

namespace leat::transport {

Acceptor::Acceptor(kj::Own<kj::ConnectionReceiver> receiver, kj::Timer& timer, std::string name,
                   Greet greet, OnComplaint on_complaint)
    : receiver_(kj::mv(receiver)),
      port_(static_cast<std::uint16_t>(receiver_->getPort())),
      timer_(timer),
      name_(std::move(name)),
      greet_(std::move(greet)),
      on_complaint_(std::move(on_complaint)),
      tasks_(*this) {
  tasks_.add(accept_next());
}

kj::Promise<void> Acceptor::accept_next() {
  return kj::evalNow([this] { return receiver_->acceptAuthenticated(); })
      .then(
          [this](kj::AuthenticatedStream connection) {
            admit(kj::mv(connection));
            return accept_next();
          },
          [this](kj::Exception&& exception) {
            complain(kj::str("cannot accept: ", exception.getDescription()));
            return timer_.afterDelay(kAcceptPause).then([this] { return accept_next(); });
          });
}

void Acceptor::admit(kj::AuthenticatedStream connection) {
  if (greeting_ >= kUnauthenticatedMax) {
    ++counts_.overflow;
    complain("too many unauthenticated connections, closing one");
    return;
  }
  ++greeting_;
  kj::Promise<void> greeted = kj::evalNow([&] { return greet_(kj::mv(connection)); });
  tasks_.add(timer_.timeoutAfter(kGreetDeadline, kj::mv(greeted))
                 .then([this] { ++counts_.accepted; },
                       [this](kj::Exception&& exception) {
                         ++counts_.refused;
                         complain(kj::str("refused a connection: ", exception.getDescription()));
                       })
                 .attach(kj::defer([this] { --greeting_; })));
}

void Acceptor::complain(kj::StringPtr reason) {
  if (on_complaint_ == nullptr) return;
  const kj::TimePoint now = timer_.now();
  KJ_IF_MAYBE (before, complained_at_) {
    if (now - *before < kComplaintInterval) return;
  }
  complained_at_ = now;
  const std::string_view line(reason.cStr(), reason.size());
  on_complaint_(name_ + ": " + std::string(line.substr(0, line.find('\n'))));
}

void Acceptor::taskFailed(kj::Exception&& exception) {
  complain(exception.getDescription());
}

Result<kj::Own<kj::ConnectionReceiver>> bind_tcp(kj::Network& network, const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const Refusal not_numeric = invalid(address + ": not a numeric address and port to listen on");
  if (colon == std::string::npos) return not_numeric;
  std::string host = address.substr(0, colon);
  std::uint16_t port = 0;
  const char* end = address.data() + address.size();
  const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
  if (error != std::errc() || stop != end) return not_numeric;

  sockaddr_in v4{};
  sockaddr_in6 v6{};
  kj::Own<kj::NetworkAddress> where;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) return not_numeric;
    where = network.getSockaddr(&v6, sizeof v6);
  } else {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) return not_numeric;
    where = network.getSockaddr(&v4, sizeof v4);
  }
  kj::Own<kj::ConnectionReceiver> receiver;
  KJ_IF_MAYBE (failure, kj::runCatchingExceptions([&] { receiver = where->listen(); })) {
    return invalid(address + ": cannot listen: " + first_line(*failure));
  }
  return receiver;
}

std::string first_line(const kj::Exception& exception) {
  const kj::StringPtr text = exception.getDescription();
  const std::string_view line(text.cStr(), text.size());
  return std::string(line.substr(0, line.find('\n')));
}

}  // namespace leat::transport
