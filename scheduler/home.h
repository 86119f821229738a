#pragma once

// home.h - LEAT_HOME as the head uses it: lock, files, where the programs are.

#include <kj/io.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace leat::scheduler {

// The files of one cluster's directory.
struct Home {
  std::string path;  // absolute

  std::string socket() const { return path + "/head.sock"; }
  std::string store() const { return path + "/store.db"; }
  std::string endpoint() const { return path + "/endpoint.json"; }
  std::string tls() const { return path + "/tls"; }
  std::string nodes() const { return path + "/nodes"; }
  std::string logs() const { return path + "/log"; }
  std::string scratch() const { return path + "/tmp"; }
  // The n-th copy of history of this head, at that turn: no two have the same name.
  std::string copy(std::uint64_t turn, std::uint64_t n) const;
};

// Where the head can be reached; what the next life of the head tries to be again.
struct Endpoint {
  std::uint64_t head_epoch = 0;
  std::string cluster_id;
  std::string agent_address;
  std::string enrol_address;
  std::string store_address;
};

// Makes or verifies the directory and those below it (all 0700, ours).
Result<Done> prepare_home(const Home& home);

// Removes copies of history that an earlier life has left in scratch().
void remove_old_copies(const Home& home);

// Held until the descriptor is closed; HOME/head.pid then names us. Refused with kConflict while
// another head holds it, which is named; one that is just dying is waited for, kLockWaitMs at most.
inline constexpr int kLockWaitMs = 1'000;
Result<kj::AutoCloseFd> lock_home(const Home& home);

// Replaces HOME/endpoint.json, whole, 0600.
Result<Done> write_endpoint(const Home& home, const Endpoint& endpoint);
// What an earlier life has written; empty if there is nothing to be read.
Endpoint read_endpoint(const Home& home);

// The host of "host:port", brackets included; empty if there is none.
std::string host_of(const std::string& address);
// The port of "host:port"; 0 if there is none.
std::uint16_t port_of(const std::string& address);

// Value of "key": "text" or a number in a flat JSON object that we wrote ourselves; empty if it is
// not there.
std::string json_field(const std::string& json, const std::string& key);

// The absolute path of a program beside our own.
std::string sibling_program(const std::string& name);

}  // namespace leat::scheduler
