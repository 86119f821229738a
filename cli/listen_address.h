#pragma once

// listen_address.h - addresses of this and other machines, as options name them.

#include <string>

#include "base/result.h"

namespace leat::cli {

// A numeric address without a port: "10.0.0.7", "[fd00::7]". Not all interfaces at once: nodes are
// told the address, and must be able to use it.
Result<Done> check_listen_address(const std::string& text);

// "host:port", the port from 1 to 65535; the host may be a name.
Result<Done> check_endpoint(const std::string& text);

// The address of ours from which packets to `endpoint` leave, as check_listen_address() takes it.
// Refused if the host is not known or there is no way there. Blocks while names are looked up.
Result<std::string> address_towards(const std::string& endpoint);

}  // namespace leat::cli
