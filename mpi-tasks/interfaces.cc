#include "mpi-tasks/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <set>

namespace leat::mpi {
namespace {

// An address as its bytes; all of one family are of one length.
std::optional<std::vector<unsigned char>> bytes_of(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1)
    return std::vector<unsigned char>(bytes.begin(), bytes.begin() + 4);
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1)
    return std::vector<unsigned char>(bytes.begin(), bytes.end());
  return std::nullopt;
}

bool is_within(const std::string& address, const std::vector<unsigned char>& network,
               unsigned bits) {
  const auto bytes = bytes_of(address);
  if (!bytes || bytes->size() != network.size()) return false;
  for (unsigned bit = 0; bit < bits; ++bit) {
    const unsigned mask = 0x80u >> (bit % 8);
    if (((*bytes)[bit / 8] & mask) != (network[bit / 8] & mask)) return false;
  }
  return true;
}

// "10.0.0.0/8"; none if it is no network.
struct Network {
  std::vector<unsigned char> bytes;
  unsigned bits = 0;
};
std::optional<Network> network_of(std::string_view text) {
  const std::size_t slash = text.find('/');
  auto bytes = bytes_of(std::string(text.substr(0, slash)));
  Network network;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, network.bits);
  if (!bytes || error != std::errc() || stop != end || network.bits > 8 * bytes->size())
    return std::nullopt;
  network.bytes = std::move(*bytes);
  return network;
}

std::string joined(const std::set<std::string>& words) {
  constexpr std::size_t kNamed = 16;
  std::string text;
  std::size_t named = 0;
  for (const std::string& word : words) {
    if (++named > kNamed) return text + ", ...";
    text += (text.empty() ? "" : ", ") + word;
  }
  return text.empty() ? "none" : text;
}

std::string missing_part(std::string_view part, const std::vector<HostInterface>& has) {
  const std::string quoted = '"' + std::string(part) + '"';
  std::set<std::string> there;
  if (part.find('/') == std::string_view::npos) {
    for (const HostInterface& one : has) {
      if (one.name == part) return {};
      there.insert(one.name);
    }
    return "no interface " + quoted + " (there are " + joined(there) + ")";
  }
  const std::optional<Network> network = network_of(part);
  if (!network) return quoted + " is no network";
  for (const HostInterface& one : has) {
    if (is_within(one.address, network->bytes, network->bits)) return {};
    if (!one.address.empty()) there.insert(one.address);
  }
  return "no address in " + quoted + " (there are " + joined(there) + ")";
}

}  // namespace

std::vector<HostInterface> host_interfaces() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<HostInterface> found;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    char text[NI_MAXHOST] = "";
    const int family = at->ifa_addr == nullptr ? AF_UNSPEC : at->ifa_addr->sa_family;
    const socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    if (family == AF_INET || family == AF_INET6)
      (void)::getnameinfo(at->ifa_addr, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    const std::string address = text;
    found.push_back({at->ifa_name, address.substr(0, address.find('%'))});
  }
  return found;
}

std::string missing_interface(std::string_view wanted, const std::vector<HostInterface>& has) {
  while (!wanted.empty()) {
    const std::string_view part = wanted.substr(0, wanted.find(','));
    wanted.remove_prefix(std::min(wanted.size(), part.size() + 1));
    if (part.empty()) continue;
    if (std::string missing = missing_part(part, has); !missing.empty()) return missing;
  }
  return {};
}

}  // namespace leat::mpi
