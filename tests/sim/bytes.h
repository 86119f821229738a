#pragma once

// bytes.h - messages as they cross the virtual network: the codec's real bytes.

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/array.h>

#include <cstring>
#include <string>

namespace leat::sim {

// A struct, copied out of whatever message it stands in.
template <typename Reader>
std::string bytes_of(const Reader& reader) {
  capnp::MallocMessageBuilder message;
  message.setRoot(reader);
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto chars = words.asChars();
  return {chars.begin(), chars.size()};
}

// Owns the words; root() borrows from them.
class Message {
 public:
  explicit Message(const std::string& bytes)
      : words_(kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word))),
        reader_(fill(bytes)) {}

  template <typename T>
  typename T::Reader root() const {
    return const_cast<capnp::FlatArrayMessageReader&>(reader_).getRoot<T>();
  }

 private:
  kj::ArrayPtr<const capnp::word> fill(const std::string& bytes) {
    std::memcpy(words_.begin(), bytes.data(), bytes.size());
    return words_;
  }

  kj::Array<capnp::word> words_;
  capnp::FlatArrayMessageReader reader_;
};

}  // namespace leat::sim
