#include "scheduler/store/store_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scheduler/store/database.h"
#include "scheduler/store/fact_codec.h"
#include "scheduler/store/recovery.h"
#include "scheduler/store/tables.h"
#include "tests/scheduler/store/driver.h"
#include "tests/scheduler/store/scratch.h"

namespace leat::store {
namespace {

std::unique_ptr<StoreFile> open_store(const std::string& path) {
  auto file = StoreFile::open(path);
  EXPECT_TRUE(file.ok()) << (file.ok() ? "" : file.refusal().message);
  return std::move(file).value();
}

Driver start(StoreFile& file, std::uint64_t seed, SnapshotLimits limits = {}) {
  auto recovered = recover(file, limits);
  EXPECT_TRUE(recovered.ok()) << (recovered.ok() ? "" : recovered.refusal().message);
  return Driver(std::move(recovered).value(), seed);
}

// A store with some turns in it, closed in good order. Returns how many.
std::uint64_t fill(const std::string& path, int turns, SnapshotLimits limits = {}) {
  const auto file = open_store(path);
  Driver driver = start(*file, 1, limits);
  std::uint64_t last = 0;
  for (int n = 0; n < turns; ++n) {
    const auto record = driver.random_turn();
    if (!record) continue;
    file->append(*record);
    last = record->sequence;
  }
  return last;
}

// The refusal of opening, or else of recovering from, the store; empty if it opens.
std::string refusal_of(const std::string& path) {
  const auto file = StoreFile::open(path);
  if (!file.ok()) return file.refusal().message;
  const auto recovered = recover(*file.value());
  return recovered.ok() ? "" : recovered.refusal().message;
}

void expect_refused(const std::string& path, const std::string& why) {
  const std::string before = bytes_in(path);
  const std::string said = refusal_of(path);
  EXPECT_NE(said.find(why), std::string::npos) << "said: " << said;
  EXPECT_EQ(said.find('\n'), std::string::npos);
  EXPECT_EQ(bytes_in(path), before) << "a refusal changes nothing";
}

TEST(StoreFile, IsMadePrivateAndOpensAgain) {
  Scratch scratch;
  const std::uint64_t last = fill(scratch.path(), 50);
  struct stat found {};
  ASSERT_EQ(::stat(scratch.path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  const auto file = open_store(scratch.path());
  const auto recovered = recover(*file);
  ASSERT_TRUE(recovered.ok());
  EXPECT_EQ(recovered.value().recorder.next_sequence(), last + 1);
}

TEST(StoreFile, RecoversWhatItWasGivenThroughManyRounds) {
  Scratch scratch;
  Random random(3);
  auto file = open_store(scratch.path());
  const SnapshotLimits limits{2000, 6000, 20};
  Driver driver = start(*file, 3, limits);
  for (int turn = 0; turn < 400; ++turn) {
    const auto record = driver.random_turn();
    if (!record) continue;
    file->append(*record);
    if (!random.chance(5)) continue;
    const auto before = dump(driver.state());
    file.reset();
    file = open_store(scratch.path());
    driver = start(*file, random.next(), limits);
    ASSERT_EQ(dump(driver.state()), before) << "turn " << turn;
  }
}

TEST(StoreFile, DeletesFactsThatASnapshotHolds) {
  Scratch scratch;
  const auto file = open_store(scratch.path());
  Driver driver = start(*file, 5, {1u << 20, 3000, 1000});
  std::uint64_t sealed = 0;
  std::uint64_t last = 0;
  for (int turn = 0; turn < 1000; ++turn) {
    const auto record = driver.random_turn();
    if (!record) continue;
    file->append(*record);
    last = record->sequence;
    if (record->seal) sealed = record->seal->sequence;
  }
  ASSERT_GT(sealed, 100u);
  std::uint64_t kept = 0;
  ASSERT_TRUE(file->each_turn([&](std::uint64_t sequence, const std::string&) -> Result<Done> {
                    EXPECT_GT(sequence, sealed);
                    ++kept;
                    return Done{};
                  })
                  .ok());
  EXPECT_EQ(kept, last - sealed);
}

TEST(StoreFile, RefusesASecondHeadAndNamesTheFirst) {
  Scratch scratch;
  fill(scratch.path(), 3);
  int ready[2];
  int finish[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(finish), 0);
  const pid_t first = ::fork();
  if (first == 0) {
    ::close(finish[1]);
    const auto file = StoreFile::open(scratch.path());
    char byte = file.ok() ? 'y' : 'n';
    (void)!::write(ready[1], &byte, 1);
    (void)!::read(finish[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  const auto second = StoreFile::open(scratch.path());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.refusal().reason, Reason::kConflict);
  EXPECT_EQ(second.refusal().message, "store " + scratch.path() + ": another head (pid " +
                                          std::to_string(first) + ") uses this store");
  ::close(finish[1]);
  int status = 0;
  ASSERT_EQ(::waitpid(first, &status, 0), first);
  // And when the first is gone, the way is free.
  EXPECT_EQ(refusal_of(scratch.path()), "");
  for (const int fd : {ready[0], ready[1], finish[0]}) ::close(fd);
}

TEST(StoreFile, RefusesASecondHeadInTheSameProcess) {
  Scratch scratch;
  const auto first = open_store(scratch.path());
  const auto second = StoreFile::open(scratch.path());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.refusal().reason, Reason::kConflict);
}

TEST(StoreFile, RefusesFilesThatAreNotOurs) {
  Scratch scratch;
  std::ofstream(scratch.path("text")) << std::string(5000, 'x');
  std::ofstream(scratch.path("short")) << "hello";
  fill(scratch.path("other"), 1);
  poke(scratch.path("other"), 68, "BOOK");
  for (const char* name : {"text", "short", "other"}) ::chmod(scratch.path(name).c_str(), 0600);
  expect_refused(scratch.path("text"), "it is not a store of leat, or its first page is damaged");
  expect_refused(scratch.path("short"), "it is not a store of leat");
  expect_refused(scratch.path("other"), "it is a database, but not a store of leat");
}

TEST(StoreFile, RefusesANewerVersion) {
  Scratch scratch;
  fill(scratch.path(), 1);
  const std::string newer{0, 0, 0, static_cast<char>(kFormatVersion + 1)};
  poke(scratch.path(), 60, newer);
  expect_refused(scratch.path(),
                 "it is from a newer version (format " + std::to_string(kFormatVersion + 1) +
                     "; this program reads up to " + std::to_string(kFormatVersion) + ")");
}

TEST(StoreFile, BringsAFileOfTheFirstFormatToThisOne) {
  Scratch scratch;
  const auto version = [&scratch] {
    const std::string bytes = bytes_in(scratch.path());
    return static_cast<unsigned>(static_cast<unsigned char>(bytes.at(63)));  // user_version
  };
  { ASSERT_TRUE(Database::open(scratch.path(), kApplicationId, kTables, {}).ok()); }
  EXPECT_EQ(version(), 1u);
  const std::uint64_t last = fill(scratch.path(), 50);
  EXPECT_GT(last, 0u);
  EXPECT_EQ(refusal_of(scratch.path()), "");
  EXPECT_EQ(version(), kFormatVersion);
  // And never again.
  EXPECT_EQ(refusal_of(scratch.path()), "");
}

TEST(StoreFile, RefusesAPlaceWhereOthersReach) {
  Scratch scratch;
  fill(scratch.path(), 1);
  ::chmod(scratch.path().c_str(), 0640);
  expect_refused(scratch.path(), "others may read or write it");
  ::chmod(scratch.path().c_str(), 0600);

  ASSERT_EQ(::symlink("store", scratch.path("link").c_str()), 0);
  expect_refused(scratch.path("link"), "it is a symbolic link");
  ASSERT_EQ(::link(scratch.path().c_str(), scratch.path("twin").c_str()), 0);
  expect_refused(scratch.path(), "it has a second name");
  ::unlink(scratch.path("twin").c_str());
  EXPECT_EQ(refusal_of(scratch.path()), "");
  EXPECT_NE(refusal_of(scratch.path("no/where")).find("its directory: No such file"),
            std::string::npos);
  ASSERT_EQ(::mkdir(scratch.path("folder").c_str(), 0700), 0);
  EXPECT_NE(refusal_of(scratch.path("folder")), "");
}

TEST(StoreFile, FollowsLinksInItsFolders) {
  Scratch scratch;
  ASSERT_EQ(::mkdir(scratch.path("real").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("real", scratch.path("alias").c_str()), 0);
  fill(scratch.path("alias/store"), 2);
  EXPECT_EQ(refusal_of(scratch.path("real/store")), "");
}

// Where the bytes of a turn stand in the file.
std::size_t place_of_turn(const std::string& path, std::uint64_t wanted) {
  std::string turn;
  const auto file = open_store(path);
  (void)file->each_turn([&](std::uint64_t sequence, const std::string& bytes) -> Result<Done> {
    if (sequence == wanted) turn = bytes;
    return Done{};
  });
  const std::size_t at = bytes_in(path).find(turn.substr(0, 200));
  EXPECT_NE(at, std::string::npos);
  return at;
}

TEST(StoreFile, RefusesATurnWithOneBitChangedAndNamesIt) {
  Scratch scratch;
  fill(scratch.path(), 30);
  const std::size_t at = place_of_turn(scratch.path(), 7) + 50;
  const char was = bytes_in(scratch.path())[at];
  const char is = static_cast<char>(was ^ 0x10);
  poke(scratch.path(), at, std::string_view(&is, 1));
  EXPECT_NE(refusal_of(scratch.path()).find("turn 7 is damaged"), std::string::npos)
      << refusal_of(scratch.path());
  poke(scratch.path(), at, std::string_view(&was, 1));
  EXPECT_EQ(refusal_of(scratch.path()), "");
}

TEST(StoreFile, NeverDiesOfADamagedPage) {
  Scratch scratch;
  fill(scratch.path("good"), 150, {20'000, 20'000, 100});
  const std::string good = bytes_in(scratch.path("good"));
  std::size_t refused = 0;
  const std::size_t pages = good.size() / 4096;
  for (std::size_t page = 0; page < pages; ++page) {
    std::ofstream(scratch.path(), std::ios::binary) << good;
    ::chmod(scratch.path().c_str(), 0600);
    Random random(page);
    std::string noise(4096, '\0');
    for (char& c : noise) c = static_cast<char>(random.next() & 0xff);
    poke(scratch.path(), page * 4096, noise);
    const std::string said = refusal_of(scratch.path());
    refused += !said.empty();
    EXPECT_EQ(said.find('\n'), std::string::npos);
  }
  // The rest are pages of history, which recovery does not read, and free ones.
  EXPECT_GT(refused, pages / 10);
}

TEST(StoreFile, RefusesATruncatedFile) {
  Scratch scratch;
  fill(scratch.path(), 200);
  const std::size_t size = bytes_in(scratch.path()).size();
  ASSERT_GT(size, 3u * 4096);
  ASSERT_EQ(::truncate(scratch.path().c_str(), static_cast<off_t>(size / 2 / 4096 * 4096)), 0);
  EXPECT_NE(refusal_of(scratch.path()).find("damaged"), std::string::npos)
      << refusal_of(scratch.path());
}

TEST(StoreFile, MovesItsLogIntoTheFile) {
  Scratch scratch;
  const auto file = open_store(scratch.path());
  Driver driver = start(*file, 1);
  for (int n = 0; n < 50; ++n)
    if (const auto record = driver.random_turn()) file->append(*record);
  EXPECT_GT(file->log_bytes(), 0u);
  const std::size_t before = bytes_in(scratch.path()).size();
  file->checkpoint();
  EXPECT_EQ(file->log_bytes(), 0u);
  EXPECT_GT(bytes_in(scratch.path()).size(), before);
}

}  // namespace
}  // namespace leat::store
