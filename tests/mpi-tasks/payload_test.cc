#include <leat/payload.h>

#include <gtest/gtest.h>

#include <boost/serialization/map.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/crc32c.h"

namespace leat {
namespace {

struct Cell {
  std::string name;
  std::vector<double> values;
  std::map<int, std::string> notes;

  bool operator==(const Cell&) const = default;

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& name& values& notes;
  }
};

const Cell kCell{"steel", {1.5, -0.0, 1e300}, {{7, "seven"}, {-1, ""}}};

// The fault for which `bytes` are refused; nothing if they are not.
template <typename T>
std::optional<PayloadFault> fault_of(const std::string& bytes,
                                     std::uint64_t bytes_max = kPayloadBytesMax) {
  try {
    unpack<T>(bytes, bytes_max);
  } catch (const PayloadError& error) {
    EXPECT_NE(std::string_view(error.what()), "");
    return error.fault();
  }
  return std::nullopt;
}

// `bytes` with another number in their head, which fits its checksum again.
std::string with_number(std::string bytes, std::size_t at, std::size_t size, std::uint64_t number) {
  const auto put = [&](std::size_t where, std::size_t length, std::uint64_t value) {
    for (std::size_t i = 0; i < length; ++i)
      bytes[where + i] = static_cast<char>((value >> (8 * i)) & 0xff);
  };
  put(at, size, number);
  put(28, 4, crc32c(std::as_bytes(std::span(bytes.data(), 28))));
  return bytes;
}

TEST(Payload, GivesBackWhatWasPacked) {
  EXPECT_EQ(unpack<Cell>(pack(kCell)), kCell);
  EXPECT_EQ(unpack<int>(pack(-3)), -3);
  EXPECT_EQ(unpack<std::string>(pack(std::string())), "");
  const std::vector<double> large(500'000, 0.1);
  EXPECT_EQ(unpack<std::vector<double>>(pack(large)), large);
}

TEST(Payload, HasTheHeadThatItsHeaderDescribes) {
  const std::string bytes = pack(std::string("x"));
  EXPECT_EQ(bytes.substr(0, 8), kEnvelopeMagic);
  EXPECT_EQ(bytes.substr(8, 4), std::string("\1\0\0\0", 4));
  EXPECT_EQ(bytes.size() - kEnvelopeHeadBytes,
            static_cast<std::size_t>(static_cast<unsigned char>(bytes[16])));
}

TEST(Payload, IsReadOneByOneFromAStream) {
  std::stringstream stream;
  write_payload(stream, kCell);
  write_payload(stream, 42);
  EXPECT_EQ(read_payload<Cell>(stream), kCell);
  EXPECT_EQ(read_payload<int>(stream), 42);
  EXPECT_EQ(read_payload<int>(stream), std::nullopt);
}

TEST(Payload, RefusesEveryFlippedBit) {
  const std::string whole = pack(kCell);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const std::size_t at = bit / 8;
    const PayloadFault expected = at < 8    ? PayloadFault::kMagic
                                  : at < 10 ? PayloadFault::kVersion
                                            : PayloadFault::kDamaged;
    EXPECT_EQ(fault_of<Cell>(bytes), expected) << "bit " << bit;
  }
}

TEST(Payload, RefusesEveryCut) {
  const std::string whole = pack(kCell);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(fault_of<Cell>(whole.substr(0, size)), PayloadFault::kTruncated) << size;
  EXPECT_EQ(fault_of<Cell>(whole + "x"), PayloadFault::kContent);
  EXPECT_EQ(fault_of<Cell>(whole.substr(1)), PayloadFault::kMagic);
}

TEST(Payload, RefusesACutInTheMiddleOfAStream) {
  std::stringstream stream(pack(1) + pack(2).substr(0, 40));
  EnvelopeReader reader(stream);
  EXPECT_TRUE(reader.next().has_value());
  try {
    reader.next();
    FAIL() << "took half an envelope";
  } catch (const PayloadError& error) {
    EXPECT_EQ(error.fault(), PayloadFault::kTruncated);
    EXPECT_TRUE(std::string_view(error.what()).starts_with("envelope 2: the stream ends after 8 "))
        << error.what();
  }
}

TEST(Payload, RefusesAnotherVersion) {
  for (const std::uint64_t version : {0, 2, 0x0100})
    EXPECT_EQ(fault_of<int>(with_number(pack(1), 8, 2, version)), PayloadFault::kVersion);
}

TEST(Payload, RefusesWhatIsLongerThanTheLimit) {
  const std::string bytes = pack(std::string(1000, 'x'));
  const std::uint64_t length = bytes.size() - kEnvelopeHeadBytes;
  EXPECT_EQ(fault_of<std::string>(bytes, length), std::nullopt);
  EXPECT_EQ(fault_of<std::string>(bytes, length - 1), PayloadFault::kOversized);
  EXPECT_EQ(fault_of<std::string>(with_number(bytes, 16, 8, kPayloadBytesMax + 1)),
            PayloadFault::kOversized);
  EXPECT_EQ(fault_of<std::string>(with_number(bytes, 16, 8, ~std::uint64_t{0})),
            PayloadFault::kOversized);
}

// Counts what is asked of it at once, as the buffer behind a pipe would.
class MeteredSource : public std::stringbuf {
 public:
  using std::stringbuf::stringbuf;
  std::streamsize most_at_once = 0;

 protected:
  std::streamsize xsgetn(char* to, std::streamsize size) override {
    most_at_once = std::max(most_at_once, size);
    return std::stringbuf::xsgetn(to, size);
  }
};

TEST(Payload, BelievesAClaimedLengthOnlyAsFarAsItHasArrived) {
  MeteredSource source(with_number(pack(1), 16, 8, kPayloadBytesMax));
  std::istream stream(&source);
  EXPECT_THROW(EnvelopeReader(stream).next(), PayloadError);
  EXPECT_LE(source.most_at_once, 1024 * 1024);
}

TEST(Payload, RefusesAnotherType) {
  EXPECT_EQ(fault_of<long>(pack(1)), PayloadFault::kType);
  EXPECT_EQ(fault_of<std::string>(pack(kCell)), PayloadFault::kType);
}

TEST(Payload, RefusesAnArchiveThatDoesNotFitItsType) {
  // Sealed well, but not by pack: what only a bug or malice can make.
  const auto sealed = [](const std::string& content) {
    return detail::sealed(payload_type<std::string>(), content);
  };
  const std::string content = pack(std::string("abc")).substr(kEnvelopeHeadBytes);
  EXPECT_EQ(fault_of<std::string>(sealed(content)), std::nullopt);
  for (std::size_t size = 0; size < content.size(); ++size)
    EXPECT_EQ(fault_of<std::string>(sealed(content.substr(0, size))), PayloadFault::kContent);
  EXPECT_EQ(fault_of<std::string>(sealed(content + "x")), PayloadFault::kContent);
  std::string huge = content;
  huge.replace(huge.size() - 11, 8, std::string(7, '\xff') + '\x7f');
  EXPECT_EQ(fault_of<std::string>(sealed(huge)), PayloadFault::kContent);
}

TEST(Payload, NamesTextAmongEnvelopes) {
  std::stringstream stream("starting…\n" + pack(1));
  EXPECT_THROW(read_payload<int>(stream), PayloadError);
  std::stringstream short_text("hi\n");
  try {
    read_payload<int>(short_text);
    FAIL() << "took text";
  } catch (const PayloadError& error) {
    EXPECT_EQ(error.fault(), PayloadFault::kMagic);
  }
}

}  // namespace
}  // namespace leat
