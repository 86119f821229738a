#pragma once

// payload.h - typed values as bytes that are checked before they are believed.
//
// A value that Boost.Serialization can save travels as an envelope: 32 bytes of head, then the
// value as a Boost binary archive. Envelopes one after the other are a stream; that is what a
// reduce program finds on its standard input. The head, little-endian:
//
//   0 magic (8)   8 version (2)   10 nothing (2)   12 type (4)
//   16 length of the archive (8)   24 its CRC32C (4)   28 CRC32C of the first 28 bytes (4)
//
// Source:  an envelope lives inside one job's own processes. A Boost archive is bound to the
//          version of Boost and the kind of machine, so it is no format to keep for years, and
//          none to take from people you do not trust.
// Units:   lengths are bytes.
// Owns:    values and envelopes own what they hold; a reader borrows its stream.
// Thread:  functions may be called from any thread; one reader belongs to one thread at a time.
// Errors:  PayloadError for whatever cannot be read. Nothing is decoded before its checksum is
//          right, and no more is allocated than has arrived and than the limit allows.

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <cstdint>
#include <exception>
#include <istream>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace leat {

// As in PNG: a first byte that no text has, and line ends that a text mode would change.
inline constexpr std::string_view kEnvelopeMagic{"\x89LEAT\r\n\x1a", 8};
inline constexpr std::uint16_t kEnvelopeVersion = 1;
inline constexpr std::size_t kEnvelopeHeadBytes = 32;
// The longest archive that is written, and read unless the reader is given another limit.
inline constexpr std::uint64_t kPayloadBytesMax = 256ull * 1024 * 1024;

enum class PayloadFault : std::uint8_t {
  kMagic,      // these are no envelopes: perhaps text was printed among them
  kVersion,    // of a newer or older SDK
  kDamaged,    // head or content do not fit their checksums
  kTruncated,  // the stream ends inside an envelope
  kOversized,  // longer than the limit
  kType,       // holds a value of another type
  kContent,    // the archive cannot be read as that type, or is longer than the value
  kStream,     // the stream itself failed
};

// Why bytes were refused. what() is one line for people.
class PayloadError : public std::runtime_error {
 public:
  PayloadError(PayloadFault fault, const std::string& what)
      : std::runtime_error(what), fault_(fault) {}
  [[nodiscard]] PayloadFault fault() const noexcept { return fault_; }

 private:
  PayloadFault fault_;
};

// What a type is called in envelopes. Specialise it where programs compiled apart exchange values
// of types that they name differently, or to tell one layout of a type from the next.
template <typename T>
struct PayloadName {
  static std::string of() { return typeid(T).name(); }
};

// An archive whose checksum was right, and the number of the type it is said to hold.
struct Envelope {
  std::uint32_t type = 0;
  std::string content;
};

// Takes envelopes off a stream. REQUIRES: the stream outlives the reader, is binary, and is not
// read by others meanwhile. After a PayloadError it is not to be read on.
class EnvelopeReader {
 public:
  explicit EnvelopeReader(std::istream& from, std::uint64_t bytes_max = kPayloadBytesMax)
      : from_(from), bytes_max_(bytes_max) {}

  // The next one; nothing where the stream ends between two. Throws PayloadError.
  std::optional<Envelope> next();

 private:
  struct Head;
  [[nodiscard]] Head checked(std::string_view bytes) const;
  [[nodiscard]] std::string content(const Head& head);
  [[noreturn]] void refuse(PayloadFault fault, const std::string& why) const;

  std::istream& from_;
  std::uint64_t bytes_max_;
  std::uint64_t number_ = 0;  // of envelopes read
};

namespace detail {

// The head and the content as they stand in a stream. Throws PayloadError if it is too long.
std::string sealed(std::uint32_t type, std::string_view content);

// The only envelope of `bytes`.
Envelope opened(std::string_view bytes, std::uint64_t bytes_max);

std::uint32_t type_number(const std::string& name);

class ContentSink : public std::streambuf {
 public:
  [[nodiscard]] const std::string& content() const { return content_; }

 protected:
  std::streamsize xsputn(const char* bytes, std::streamsize size) override {
    content_.append(bytes, static_cast<std::size_t>(size));
    return size;
  }
  int_type overflow(int_type c) override {
    if (!traits_type::eq_int_type(c, traits_type::eof()))
      content_.push_back(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }

 private:
  std::string content_;
};

class ContentSource : public std::streambuf {
 public:
  explicit ContentSource(std::string_view content) {
    char* const begin = const_cast<char*>(content.data());  // a get area is only read
    setg(begin, begin, begin + content.size());
  }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(egptr() - gptr()); }
};

}  // namespace detail

// The number by which an envelope names its type.
template <typename T>
std::uint32_t payload_type() {
  return detail::type_number(PayloadName<T>::of());
}

// `value` as one envelope. Throws PayloadError (kOversized), and what the type's own
// serialization throws.
template <typename T>
std::string pack(const T& value) {
  detail::ContentSink sink;
  {
    boost::archive::binary_oarchive archive(sink);
    archive << value;
  }
  return detail::sealed(payload_type<T>(), sink.content());
}

// The value of an envelope. REQUIRES: T is default-constructible. Throws PayloadError (kType,
// kContent); of what the type's own deserialization throws, the text.
template <typename T>
T unpack(const Envelope& envelope) {
  if (envelope.type != payload_type<T>())
    throw PayloadError(PayloadFault::kType,
                       "an envelope holds a value of another type than " + PayloadName<T>::of());
  detail::ContentSource source(envelope.content);
  try {
    T value{};
    {
      boost::archive::binary_iarchive archive(source);
      archive >> value;
    }
    if (source.left() == 0) return value;
  } catch (const std::exception& error) {
    throw PayloadError(PayloadFault::kContent,
                       std::string("an archive cannot be read: ") + error.what());
  }
  throw PayloadError(PayloadFault::kContent, "an archive has " + std::to_string(source.left()) +
                                                 " bytes more than its value");
}

// The value of `bytes`, which are one envelope and nothing more.
template <typename T>
T unpack(std::string_view bytes, std::uint64_t bytes_max = kPayloadBytesMax) {
  return unpack<T>(detail::opened(bytes, bytes_max));
}

// Writes `value` as an envelope. Whether the stream took it, ask the stream.
template <typename T>
void write_payload(std::ostream& to, const T& value) {
  const std::string bytes = pack(value);
  to.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// The next value of a stream; nothing where it ends between two. For many, keep an EnvelopeReader.
template <typename T>
std::optional<T> read_payload(std::istream& from, std::uint64_t bytes_max = kPayloadBytesMax) {
  std::optional<Envelope> envelope = EnvelopeReader(from, bytes_max).next();
  if (!envelope) return std::nullopt;
  return unpack<T>(*envelope);
}

}  // namespace leat
