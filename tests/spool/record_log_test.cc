#include "spool/record_log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/spool/scratch_directory.h"

namespace leat::spool {
namespace {

using Records = std::vector<std::string>;

RecordLog::OnRecord into(Records& records) {
  return [&records](std::span<const std::byte> bytes) {
    records.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
}

Records read(const std::string& path) {
  Records records;
  EXPECT_TRUE(RecordLog::open(path, into(records)).ok());
  return records;
}

void write(const std::string& path, const Records& records) {
  Records before;
  Result<RecordLog> log = RecordLog::open(path, into(before));
  ASSERT_TRUE(log.ok()) << log.refusal().message;
  RecordLog open = std::move(log).value();
  for (const std::string& record : records) open.append(record);
  ASSERT_TRUE(open.write().ok());
}

TEST(RecordLog, GivesBackWhatWasWritten) {
  const ScratchDirectory dir;
  write(dir.path("log"), {"one", "", "three"});
  write(dir.path("log"), {std::string(100000, 'x')});
  EXPECT_EQ(read(dir.path("log")), (Records{"one", "", "three", std::string(100000, 'x')}));
}

TEST(RecordLog, KeepsWhatStandsBeforeATornEndAndGoesOnFromThere) {
  const ScratchDirectory dir;
  const Records records{"alpha", "beta", "gamma"};
  write(dir.path("log"), records);
  const std::string whole = content_of(dir.path("log"));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string path = dir.path("torn");
    ::unlink(path.c_str());
    put_content(path, whole.substr(0, length));
    ::chmod(path.c_str(), 0600);
    write(path, {"new"});
    const Records found = read(path);
    ASSERT_FALSE(found.empty()) << length;
    EXPECT_EQ(found.back(), "new") << length;
    ASSERT_LE(found.size(), 3u) << length;  // at least the last old one is gone
    for (std::size_t i = 0; i + 1 < found.size(); ++i) EXPECT_EQ(found[i], records[i]) << length;
  }
}

TEST(RecordLog, NeverTakesATurnedBitForARecord) {
  const ScratchDirectory dir;
  const Records records{"alpha", "beta", "gamma"};
  write(dir.path("log"), records);
  const std::string whole = content_of(dir.path("log"));
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const std::string path = dir.path("damaged");
    put_content(path, damaged);
    ::chmod(path.c_str(), 0600);
    Records found;
    const Result<RecordLog> log = RecordLog::open(path, into(found));
    if (bit < 64) {
      EXPECT_FALSE(log.ok()) << bit;  // not a log of ours
      continue;
    }
    ASSERT_TRUE(log.ok()) << bit;
    EXPECT_LT(found.size(), records.size()) << bit;
    EXPECT_GT(log.value().dropped_bytes(), 0u);
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], records[i]) << bit;
  }
}

TEST(RecordLog, IsReplacedWholeByARewrite) {
  const ScratchDirectory dir;
  Records nothing;
  RecordLog log = std::move(RecordLog::open(dir.path("log"), into(nothing))).value();
  for (int i = 0; i < 1000; ++i) log.append(std::string(1000, 'a'));
  ASSERT_TRUE(log.write().ok());
  log.append("late");
  ASSERT_TRUE(log.rewrite({"kept"}).ok());
  EXPECT_LT(log.bytes(), 100u);
  log.append("later");
  ASSERT_TRUE(log.write().ok());
  EXPECT_EQ(read(dir.path("log")), (Records{"kept", "late", "later"}));
}

TEST(RecordLog, RefusesAFileThatOthersMayReadAndALink) {
  const ScratchDirectory dir;
  write(dir.path("log"), {"secret"});
  Records nothing;
  ASSERT_EQ(::symlink(dir.path("log").c_str(), dir.path("link").c_str()), 0);
  EXPECT_FALSE(RecordLog::open(dir.path("link"), into(nothing)).ok());
  ::chmod(dir.path("log").c_str(), 0644);
  EXPECT_FALSE(RecordLog::open(dir.path("log"), into(nothing)).ok());
  EXPECT_TRUE(nothing.empty());
}

}  // namespace
}  // namespace leat::spool
