#pragma once

// interfaces.h - whether a node has the network interfaces over which ranks are to talk.

#include <string>
#include <string_view>
#include <vector>

namespace leat::mpi {

// An address of one interface; an interface without any is there with an empty one.
struct HostInterface {
  std::string name;
  std::string address;  // "10.0.0.7", "fd00::7"
};

// Of this host, or rather of our network namespace; none if they cannot be listed.
std::vector<HostInterface> host_interfaces();

// What of `wanted`, names and networks like "eth0,10.0.0.0/8", is not among them: "no interface
// "eth7" (there are eth0, lo)". Empty: nothing.
std::string missing_interface(std::string_view wanted, const std::vector<HostInterface>& has);

}  // namespace leat::mpi
