// payload.cc - heads of envelopes, and how they are read from a stream.

#include <leat/payload.h>

#include <algorithm>
#include <span>

#include "base/crc32c.h"

namespace leat {
namespace {

// A claimed length is believed by this much at a time.
constexpr std::uint64_t kReadBytesMax = 1024 * 1024;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kTypeAt = 12;
constexpr std::size_t kLengthAt = 16;
constexpr std::size_t kContentCrcAt = 24;
constexpr std::size_t kHeadCrcAt = 28;

template <typename Number>
void put(std::string& out, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

template <typename Number>
Number number_at(std::string_view bytes, std::size_t at) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[at + i]);
    value = static_cast<Number>(value | static_cast<Number>(Number{byte} << (8 * i)));
  }
  return value;
}

std::uint32_t checksum(std::string_view bytes) {
  return crc32c(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

// A stream over bytes that stay somebody else's.
class ViewStream : private detail::ContentSource, public std::istream {
 public:
  explicit ViewStream(std::string_view bytes)
      : detail::ContentSource(bytes), std::istream(static_cast<std::streambuf*>(this)) {}
};

}  // namespace

struct EnvelopeReader::Head {
  std::uint32_t type = 0;
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
};

void EnvelopeReader::refuse(PayloadFault fault, const std::string& why) const {
  throw PayloadError(fault, "envelope " + std::to_string(number_ + 1) + ": " + why);
}

EnvelopeReader::Head EnvelopeReader::checked(std::string_view bytes) const {
  if (!bytes.starts_with(kEnvelopeMagic.substr(0, bytes.size())))
    refuse(PayloadFault::kMagic, "does not begin as one; was text printed to standard output?");
  if (bytes.size() < kEnvelopeHeadBytes)
    refuse(PayloadFault::kTruncated,
           "the stream ends after " + std::to_string(bytes.size()) + " bytes of its head");
  // A newer head may have its checksum elsewhere, so the version comes first.
  const auto version = number_at<std::uint16_t>(bytes, kVersionAt);
  if (version != kEnvelopeVersion)
    refuse(PayloadFault::kVersion, "has version " + std::to_string(version) +
                                       ", this program reads " + std::to_string(kEnvelopeVersion));
  if (number_at<std::uint32_t>(bytes, kHeadCrcAt) != checksum(bytes.substr(0, kHeadCrcAt)))
    refuse(PayloadFault::kDamaged, "its head does not fit its checksum");
  const Head head{number_at<std::uint32_t>(bytes, kTypeAt),
                  number_at<std::uint64_t>(bytes, kLengthAt),
                  number_at<std::uint32_t>(bytes, kContentCrcAt)};
  if (head.bytes > bytes_max_)
    refuse(PayloadFault::kOversized, "has " + std::to_string(head.bytes) + " bytes, at most " +
                                         std::to_string(bytes_max_) + " are taken");
  return head;
}

std::string EnvelopeReader::content(const Head& head) {
  std::string bytes;
  while (bytes.size() < head.bytes) {
    const std::uint64_t wanted = std::min(head.bytes - bytes.size(), kReadBytesMax);
    const std::size_t before = bytes.size();
    bytes.resize(before + wanted);
    from_.read(&bytes[before], static_cast<std::streamsize>(wanted));
    const auto got = static_cast<std::size_t>(from_.gcount());
    if (from_.bad()) refuse(PayloadFault::kStream, "cannot be read");
    if (got < wanted)
      refuse(PayloadFault::kTruncated, "the stream ends after " + std::to_string(before + got) +
                                           " of its " + std::to_string(head.bytes) + " bytes");
  }
  if (checksum(bytes) != head.crc)
    refuse(PayloadFault::kDamaged, "its content does not fit its checksum");
  return bytes;
}

std::optional<Envelope> EnvelopeReader::next() {
  std::string bytes(kEnvelopeHeadBytes, '\0');
  from_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(from_.gcount()));
  if (from_.bad()) refuse(PayloadFault::kStream, "cannot be read");
  if (bytes.empty()) return std::nullopt;
  const Head head = checked(bytes);
  Envelope envelope{head.type, content(head)};
  ++number_;
  return envelope;
}

namespace detail {

std::string sealed(std::uint32_t type, std::string_view content) {
  if (content.size() > kPayloadBytesMax)
    throw PayloadError(PayloadFault::kOversized,
                       "a value of " + std::to_string(content.size()) + " bytes, at most " +
                           std::to_string(kPayloadBytesMax) + " can be sent");
  std::string out(kEnvelopeMagic);
  out.reserve(kEnvelopeHeadBytes + content.size());
  put<std::uint16_t>(out, kEnvelopeVersion);
  put<std::uint16_t>(out, 0);
  put<std::uint32_t>(out, type);
  put<std::uint64_t>(out, content.size());
  put<std::uint32_t>(out, checksum(content));
  put<std::uint32_t>(out, checksum(out));
  out.append(content);
  return out;
}

Envelope opened(std::string_view bytes, std::uint64_t bytes_max) {
  ViewStream stream(bytes);
  EnvelopeReader reader(stream, bytes_max);
  std::optional<Envelope> envelope = reader.next();
  if (!envelope) throw PayloadError(PayloadFault::kTruncated, "envelope 1: there is none");
  if (stream.peek() != std::istream::traits_type::eof())
    throw PayloadError(PayloadFault::kContent, "more bytes than one envelope");
  return *std::move(envelope);
}

std::uint32_t type_number(const std::string& name) {
  return checksum(name);
}

}  // namespace detail
}  // namespace leat
