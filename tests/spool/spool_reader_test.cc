#include "spool/spool_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/spool/scratch_directory.h"

namespace leat::spool {
namespace {

std::string read(SpoolReader& reader, const SegmentFile& file, std::uint64_t offset,
                 std::size_t length) {
  std::string bytes(length, '\0');
  const Result<std::size_t> n = reader.read(file, offset, std::as_writable_bytes(std::span(bytes)));
  if (!n.ok()) return "refused: " + n.refusal().message;
  bytes.resize(n.value());
  return bytes;
}

TEST(SpoolReader, ReadsRangesAndNothingBehindTheEnd) {
  const ScratchDirectory dir;
  const SegmentFile file{3, 17, Stream::kOutput};
  EXPECT_EQ(file_name(file), "slot-3.17.out");
  EXPECT_EQ(file_name({3, 17, Stream::kError}), "slot-3.17.err");
  put_content(dir.path(file_name(file)), "hello world");
  SpoolReader reader(dir.root());
  EXPECT_EQ(read(reader, file, 6, 5), "world");
  EXPECT_EQ(read(reader, file, 6, 50), "world");
  EXPECT_EQ(read(reader, file, 60, 5), "");
  EXPECT_EQ(reader.size(file).value(), 11u);
}

TEST(SpoolReader, RefusesLinksAndWhatIsNotThere) {
  const ScratchDirectory dir;
  put_content(dir.path("secret"), "secret");
  ASSERT_EQ(::symlink("secret", dir.path("slot-0.0.out").c_str()), 0);
  ASSERT_EQ(::mkfifo(dir.path("slot-0.1.out").c_str(), 0600), 0);
  SpoolReader reader(dir.root());
  EXPECT_TRUE(read(reader, {0, 0, Stream::kOutput}, 0, 5).starts_with("refused"));
  EXPECT_TRUE(read(reader, {0, 1, Stream::kOutput}, 0, 5).starts_with("refused"));
  std::string byte(1, '\0');
  EXPECT_EQ(reader.read({0, 2, Stream::kOutput}, 0, std::as_writable_bytes(std::span(byte)))
                .refusal()
                .reason,
            Reason::kNotFound);
}

TEST(SpoolReader, KeepsOnlySomeFilesOpen) {
  const ScratchDirectory dir;
  SpoolReader reader(dir.root());
  for (std::uint16_t slot = 0; slot < 100; ++slot) {
    const SegmentFile file{slot, 0, Stream::kOutput};
    put_content(dir.path(file_name(file)), std::to_string(slot));
    EXPECT_EQ(read(reader, file, 0, 9), std::to_string(slot));
  }
  EXPECT_EQ(read(reader, {0, 0, Stream::kOutput}, 0, 9), "0");
}

}  // namespace
}  // namespace leat::spool
