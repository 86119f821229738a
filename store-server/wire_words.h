#pragma once

// wire_words.h - bytes, as data.capnp has them.

#include <capnp/blob.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace leat::blobs {

// Views of what a message holds.
inline std::string_view view_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}
inline std::span<const std::byte> span_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

}  // namespace leat::blobs
