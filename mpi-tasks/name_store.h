#pragma once

// name_store.h - what ranks publish under a name, and who waits for it.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "mpi-tasks/collectives.h"
#include "mpi-tasks/message.h"

namespace leat::mpi {

// One per gang, at the hub. Pure.
class NameStore {
 public:
  static constexpr std::size_t kEntriesMax = 100'000;
  static constexpr std::size_t kBytesMax = 64u << 20;

  // Who asked, and under which number.
  struct Asker {
    NodeIndex node = 0;
    std::uint64_t id = 0;

    friend bool operator==(const Asker&, const Asker&) = default;
  };
  struct Found {
    Asker asker;
    std::int32_t status = kPmixSuccess;
    std::vector<Entry> entries;
  };

  // All entries or none: kPmixErrorDuplicateKey if a name is taken. `once`: the first who reads a
  // value takes it away. On success call answers().
  std::int32_t publish(std::vector<Entry> entries, bool once);

  // Waits until `wanted` of the keys are there (0: does not wait). See answers().
  void lookup(Asker asker, std::vector<std::string> keys, std::uint32_t wanted);

  // Nobody waits for this any more.
  void forget(Asker asker);

  // Withdraws what `publisher` has published under these keys; no keys: everything of its.
  std::int32_t unpublish(Rank publisher, const std::vector<std::string>& keys);

  // Lookups that can be answered now, in the order in which they were asked.
  std::vector<Found> answers();

 private:
  struct Value {
    Rank publisher = 0;
    std::string bytes;
    bool once = false;
  };
  struct Waiting {
    Asker asker;
    std::vector<std::string> keys;
    std::uint32_t wanted = 0;
  };

  std::size_t present(const std::vector<std::string>& keys) const;
  Found take(const Waiting& waiting);

  std::map<std::string, Value> values_;
  std::size_t bytes_ = 0;
  std::deque<Waiting> waiting_;
};

}  // namespace leat::mpi
