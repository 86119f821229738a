#include "cli/listen_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "definitions/units.h"

namespace leat::cli {
namespace {

// Without the brackets of IPv6.
std::string bare(const std::string& host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

// The address that a socket has after it has been pointed at `to`; nothing is sent.
Result<std::string> local_address(const addrinfo& to, const std::string& endpoint) {
  const int fd = ::socket(to.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return invalid(endpoint + ": " + std::strerror(errno));
  sockaddr_storage self{};
  socklen_t length = sizeof self;
  const bool known = ::connect(fd, to.ai_addr, to.ai_addrlen) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&self), &length) == 0;
  const int error = errno;
  ::close(fd);
  if (!known) return invalid(endpoint + ": no way there: " + std::strerror(error));
  char text[NI_MAXHOST] = {};
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&self), length, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) != 0)
    return invalid(endpoint + ": this machine has no address towards it");
  return self.ss_family == AF_INET6 ? '[' + std::string(text) + ']' : std::string(text);
}

}  // namespace

Result<Done> check_listen_address(const std::string& text) {
  in_addr four{};
  in6_addr six{};
  const bool is_four = ::inet_pton(AF_INET, text.c_str(), &four) == 1;
  const bool is_six = bare(text) != text && ::inet_pton(AF_INET6, bare(text).c_str(), &six) == 1;
  if (!is_four && !is_six)
    return invalid('"' + text + "\" is not a numeric address: write one of this machine's, like " +
                   "10.0.0.7 or [fd00::7]");
  if ((is_four && four.s_addr == INADDR_ANY) || (is_six && IN6_IS_ADDR_UNSPECIFIED(&six)))
    return invalid(text + " is every address: name the one by which other machines find this one");
  return Done{};
}

Result<Done> check_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const bool has_both = colon != std::string::npos && colon > 0;
  if (has_both && definitions::parse_number(text.substr(colon + 1), 1, 65535).ok()) return Done{};
  return invalid('"' + text + "\" is not HOST:PORT: leat status shows where the head listens");
}

Result<std::string> address_towards(const std::string& endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(bare(endpoint.substr(0, colon)).c_str(),
                                  endpoint.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) return invalid(endpoint + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  return local_address(*found, endpoint);
}

}  // namespace leat::cli
