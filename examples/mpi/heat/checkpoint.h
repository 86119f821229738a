#pragma once

// checkpoint.h - a run as it stands after so many steps, in a file from which it goes on.
//
// The file holds the whole plate, so the next attempt may have another number of ranks. It appears
// whole or not at all; one that is damaged nevertheless is known by its checksum.
//
// Thread:  only rank 0 calls these.
// Errors:  leat::TaskError if it cannot be written. What cannot be read is no error but a reason,
//          said on standard error, to begin from the start.

#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace heat {

struct Checkpoint {
  std::string identity;  // of the parameters
  std::int64_t step = 0;
  double change = 0;  // of the last step
  std::vector<double> field;

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& identity& step& change& field;
  }
};

void save(const std::string& directory, const Checkpoint& checkpoint);

// Nothing if there is none, or only one of another run.
std::optional<Checkpoint> find(const std::string& directory, const std::string& identity);

void remove(const std::string& directory);

}  // namespace heat
