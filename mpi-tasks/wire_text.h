#pragma once

// wire_text.h - texts of Cap'n Proto messages as strings of ours.

#include <capnp/blob.h>

#include <string>

namespace leat::mpi {

inline std::string string_of(capnp::Text::Reader text) {
  return {text.cStr(), text.size()};
}

}  // namespace leat::mpi
