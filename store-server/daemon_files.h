#pragma once

// daemon_files.h - what leat-store leaves in HOME for the head to find: lock, pid, address.
//
// HOME/store.lock  held by the running store (OFD lock)
// HOME/store.pid   "<pid> <start time in ticks, /proc/PID/stat field 22>"
// HOME/store.json  {"version":1,"address":"127.0.0.1:4711","pid":17}; it outlives the store, so
//                  that the next one tries the same port: agents keep the address for a session
// HOME/store.quota bytes that may be kept; `leat up --store-quota` writes it

#include <kj/io.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace leat::blobs {

// Refused with kConflict if another process holds it. Held until the descriptor is closed.
Result<kj::AutoCloseFd> lock_home(const std::string& home);

// Replaces both files, each whole.
Result<Done> announce(const std::string& home, const std::string& address);

// The port an earlier life had on `host`, if any.
std::optional<std::uint16_t> earlier_port(const std::string& home, const std::string& host);

// What HOME/store.quota says; nothing if it is not there, or makes no sense.
std::optional<std::uint64_t> quota_of(const std::string& home);

// Of an orderly end: removes the pid file.
void retire(const std::string& home);

}  // namespace leat::blobs
