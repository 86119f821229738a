#pragma once

// message_bytes.h - Cap'n Proto messages to and from plain bytes, and broken ones to refusals.

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"

namespace leat::store {

// Builds one message, small ones without touching the heap, and gives its flat bytes.
//
// write(Root::Builder) fills it.
template <typename Root, typename Write>
std::string to_bytes(Write write) {
  // Zeroed, as Cap'n Proto asks; large enough for a usual turn, small enough to clear each time.
  std::array<capnp::word, 512> scratch{};
  capnp::MallocMessageBuilder message(kj::arrayPtr(scratch.data(), scratch.size()));
  write(message.template initRoot<Root>());
  std::string bytes(capnp::computeSerializedSizeInWords(message) * sizeof(capnp::word), '\0');
  kj::ArrayOutputStream out(kj::arrayPtr(reinterpret_cast<kj::byte*>(bytes.data()), bytes.size()));
  capnp::writeMessage(out, message);
  return bytes;
}

// read(Root::Reader) -> Result<T>. What is no message, or a broken one, is refused; `what` begins
// the refusal. Never throws.
template <typename T, typename Root, typename Read>
Result<T> from_bytes(std::span<const std::byte> bytes, const char* what, Read read) {
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0)
    return invalid(std::string(what) + ": damaged: not a whole number of words");
  Result<T> result = invalid("");
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                 // Bytes from a file may begin anywhere; words may not.
                 kj::Array<capnp::word> words =
                     kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
                 std::memcpy(words.begin(), bytes.data(), bytes.size());
                 capnp::ReaderOptions options;
                 // Every byte is looked at a few times; a list of nothing cannot claim to be long.
                 options.traversalLimitInWords = 16 * words.size() + 1024;
                 capnp::FlatArrayMessageReader message(words, options);
                 result = read(message.template getRoot<Root>());
               })) {
    return invalid(std::string(what) + ": damaged: " + exception->getDescription().cStr());
  }
  return result;
}

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace leat::store
