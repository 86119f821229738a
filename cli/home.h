#pragma once

// home.h - the directory of one cluster on the head's host, and what lies where in it.

#include <optional>
#include <string>

#include "base/result.h"

namespace leat::cli {

struct Surroundings;

// LEAT_HOME. The head writes what is in it, but for log/ and store.quota; the command line reads.
struct Home {
  std::string path;  // absolute

  std::string socket() const { return path + "/head.sock"; }
  std::string head_pid() const { return path + "/head.pid"; }
  std::string user_credentials() const { return path + "/tls/user"; }
  std::string logs() const { return path + "/log"; }
  std::string nodes() const { return path + "/nodes"; }
  std::string scratch() const { return path + "/tmp"; }
  std::string store_quota() const { return path + "/store.quota"; }
};

// --home, else LEAT_HOME, else /var/tmp/leat-UID: local, and it survives logout.
Home choose_home(const std::optional<std::string>& option, const Surroundings& surroundings);

// Makes the directory (0700) if need be. Refused: not ours, open to others, or its path is too
// long for a socket in it.
Result<Done> make_home(const Home& home);

// Refused like make_home(), and with kDisconnected if there is no such directory.
Result<Done> verify_home(const Home& home);

}  // namespace leat::cli
