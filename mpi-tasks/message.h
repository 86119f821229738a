#pragma once

// message.h - what launchers say to the hub and it to them: schema/gang.capnp's GangMessage.
//
// One flat value, because both ends only pass most of it on. Which members mean something depends
// on the type and is said in the schema.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "mpi-tasks/layout.h"

namespace leat::mpi {

// What one side may send at once; also bounds what is read before it is looked at.
inline constexpr std::uint64_t kMessageBytesMax = 256u << 20;

// How far a rank has come with MPI.
enum class Stage : std::uint8_t { kStarted, kConnected, kFinalized };

// What several ranks do together, node by node.
enum class Gathering : std::uint8_t { kFence, kConnect, kDisconnect, kBarrier };

// Published under a name. `value` is what libpmix packed.
struct Entry {
  std::string key;
  Rank publisher = 0;
  std::string value;

  friend bool operator==(const Entry&, const Entry&) = default;
};

struct Message {
  enum class Type : std::uint8_t {
    kHello,
    kRegistered,
    kConnected,
    kRankEnded,
    kAborted,
    kFailed,
    kCollect,
    kPublish,
    kLookup,
    kUnpublish,
    kForget,
    kModexAsk,
    kModexTell,
    kStart,
    kCollected,
    kAnswer,
    kFound,
    kEnd,
    kCoordinate,
    kCoordinated,
    kEnded,
    kExecute,
    kOutput,
    kMore,
    kExecuted,
    kHangUp,
    kAttach,
    kAttached,
    kLost,
  };

  Type type = Type::kHello;
  NodeIndex node = 0;
  Rank rank = 0;
  std::uint64_t id = 0;
  std::int32_t status = 0;
  bool signalled = false;
  Stage stage = Stage::kStarted;
  Gathering gathering = Gathering::kFence;
  bool flag = false;
  std::vector<Rank> ranks;
  std::string text;
  std::string bytes;
  std::vector<std::string> keys;
  std::vector<Entry> entries;
  NodeIndex peer = 0;

  friend bool operator==(const Message&, const Message&) = default;
};

// One message as it travels.
std::string encode(const Message& message);

// Refused: not such a message, or a type this version does not know.
Result<Message> decode(std::span<const std::byte> bytes);

}  // namespace leat::mpi
