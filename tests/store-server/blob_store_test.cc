// blob_store_test.cc - blobs on disk: whole or absent, counted, within the quota.

#include "store-server/blob_store.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/store-server/support.h"

namespace leat::blobs {
namespace {

class BlobStoreTest : public ::testing::Test {
 protected:
  void open(std::uint64_t quota = 1 << 20) {
    Result<std::unique_ptr<BlobStore>> opened = BlobStore::open(home_ / "blobs", quota);
    ASSERT_TRUE(opened.ok()) << opened.refusal().message;
    store_ = std::move(opened).value();
  }

  static std::span<const std::byte> span(const std::string& bytes) {
    return std::as_bytes(std::span(bytes));
  }

  Result<Stored> put(const std::string& bytes, std::uint64_t declared, Kind kind = Kind::kResult) {
    Result<std::unique_ptr<IncomingBlob>> incoming = store_->begin(declared, {kind, {}});
    if (!incoming.ok()) return incoming.refusal();
    const std::unique_ptr<IncomingBlob> blob = std::move(incoming).value();
    const Result<Done> appended = blob->append(span(bytes));
    if (!appended.ok()) return appended.refusal();
    const Result<SealedBlob> sealed = blob->seal();
    if (!sealed.ok()) return sealed.refusal();
    const Result<Stored> stored = store_->make_durable(sealed.value());
    store_->settle(sealed.value(), stored);
    return stored;
  }
  Result<Stored> put(const std::string& bytes) { return put(bytes, bytes.size()); }

  Result<std::string> get(const Hash& hash, std::uint64_t offset, std::size_t size) {
    std::string bytes(size, '\0');
    const Result<Done> done = store_->read(hash, offset, std::as_writable_bytes(std::span(bytes)));
    if (!done.ok()) return done.refusal();
    return bytes;
  }

  void expect_nothing_left() {
    EXPECT_EQ(files_in(home_ / "blobs/incoming"), 0u);
    EXPECT_EQ(store_->usage().reserved, 0u);
  }

  PrivateDirectory home_;
  std::unique_ptr<BlobStore> store_;
};

TEST_F(BlobStoreTest, GivesBackWhatItWasGiven) {
  open();
  const std::string bytes = some_bytes(100'000, 1);
  EXPECT_EQ(put(bytes).value(), Stored::kNew);
  const Hash hash = hash_of(bytes);
  EXPECT_TRUE(store_->has(hash));
  EXPECT_EQ(store_->length(hash).value(), bytes.size());
  EXPECT_EQ(get(hash, 0, bytes.size()).value(), bytes);
  EXPECT_EQ(get(hash, 99'990, 10).value(), bytes.substr(99'990));
  EXPECT_FALSE(get(hash, 99'991, 10).ok());
  EXPECT_EQ(get(hash_of("other"), 0, 1).refusal().reason, Reason::kNotFound);
  struct stat status {};
  const std::string text = hash_text(hash);
  ASSERT_EQ(::stat((home_ / "blobs/" + text.substr(0, 2) + "/" + text.substr(2)).c_str(), &status),
            0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  expect_nothing_left();
}

TEST_F(BlobStoreTest, KeepsEqualBytesOnce) {
  open();
  EXPECT_EQ(put("same").value(), Stored::kNew);
  EXPECT_EQ(put("same").value(), Stored::kWasThere);
  EXPECT_EQ(put("").value(), Stored::kNew);
  EXPECT_EQ(put("same", kLengthUnknown).value(), Stored::kWasThere);
  EXPECT_EQ(store_->usage().blobs, 2u);
  EXPECT_EQ(store_->usage().bytes, 4u);
  expect_nothing_left();
}

TEST_F(BlobStoreTest, RefusesWhatDoesNotFitTheQuota) {
  open(1000);
  EXPECT_TRUE(put(some_bytes(600, 1)).ok());
  EXPECT_EQ(put(some_bytes(401, 2)).refusal().reason, Reason::kOverloaded);
  EXPECT_EQ(put(some_bytes(401, 3), kLengthUnknown).refusal().reason, Reason::kOverloaded);
  {
    const auto first = store_->begin(300);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(store_->begin(101).refusal().reason, Reason::kOverloaded);
    EXPECT_EQ(store_->usage().reserved, 300u);
  }
  EXPECT_TRUE(put(some_bytes(400, 4)).ok());
  EXPECT_EQ(put("x").refusal().reason, Reason::kOverloaded);
  EXPECT_TRUE(put("").ok());
  expect_nothing_left();
}

TEST_F(BlobStoreTest, RefusesOtherLengthsThanDeclared) {
  open();
  EXPECT_EQ(put("12345", 4).refusal().reason, Reason::kInvalid);
  const Result<Stored> cut = put("12345", 6);
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.refusal().message, "the upload ended after 5 of 6 bytes");
  EXPECT_FALSE(store_->has(hash_of("12345")));
  EXPECT_EQ(store_->begin(kBlobBytesMax + 1).refusal().reason, Reason::kInvalid);
  EXPECT_EQ(store_->usage().blobs, 0u);
  expect_nothing_left();
}

TEST_F(BlobStoreTest, LeavesNothingHalfWhenTheDiskGivesNoMore) {
  open();
  // The limit on a file's size stands for a full disk: the system refuses in the same places.
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit tight = before;
  tight.rlim_cur = 1000;
  ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const Result<Stored> known = put(some_bytes(2000, 1));
  const Result<Stored> unknown = put(some_bytes(2000, 2), kLengthUnknown);
  const Result<Stored> small = put(some_bytes(900, 3));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(known.refusal().reason, Reason::kOverloaded);
  EXPECT_EQ(unknown.refusal().reason, Reason::kOverloaded);
  EXPECT_TRUE(small.ok());
  EXPECT_EQ(store_->usage().blobs, 1u);
  expect_nothing_left();
}

TEST_F(BlobStoreTest, SweepsAndCountsWhatAnEarlierLifeLeft) {
  open();
  ASSERT_TRUE(put("one").ok());
  ASSERT_TRUE(put("three").ok());
  spill(home_ / "blobs/incoming/7", "half an upl");
  store_ = nullptr;
  open();
  EXPECT_EQ(store_->usage().blobs, 2u);
  EXPECT_EQ(store_->usage().bytes, 8u);
  expect_nothing_left();
}

TEST_F(BlobStoreTest, RefusesDirectoriesThatLetOthersIn) {
  open();
  store_ = nullptr;
  for (const char* name : {"blobs", "blobs/incoming", "blobs/a7"}) {
    ASSERT_EQ(::chmod((home_ / name).c_str(), 0750), 0);
    const auto opened = BlobStore::open(home_ / "blobs", 1 << 20);
    ASSERT_FALSE(opened.ok()) << name;
    EXPECT_NE(opened.refusal().message.find("0750"), std::string::npos);
    ASSERT_EQ(::chmod((home_ / name).c_str(), 0700), 0);
  }
}

// Seconds since 1970 of now and of a time when nothing of this test was there.
constexpr std::int64_t kLong = 24 * 3600;

TEST_F(BlobStoreTest, DropsInputsThatNobodyNeeds) {
  open();
  const auto input = [this](const std::string& bytes) {
    return put(bytes, bytes.size(), Kind::kInput);
  };
  ASSERT_TRUE(input("needed").ok() && input("not needed").ok() && put("a result").ok());
  ASSERT_TRUE(input("both").ok() && put("both").ok());
  const std::int64_t later = wall_now() + kLong;
  const std::set<Hash> needed = {hash_of("needed")};
  EXPECT_EQ(store_->drop_inputs(needed, wall_now() - kLong, wall_now()), 0u) << "too young";
  EXPECT_EQ(store_->drop_inputs(needed, later, later), 1u);
  EXPECT_TRUE(store_->has(hash_of("needed")));
  EXPECT_TRUE(store_->has(hash_of("a result")));
  EXPECT_TRUE(store_->has(hash_of("both")));
  EXPECT_FALSE(store_->has(hash_of("not needed")));
  EXPECT_EQ(store_->usage().blobs, 3u);
  EXPECT_EQ(store_->usage().bytes, 6u + 8u + 4u);
  EXPECT_EQ(files_in(home_ / "blobs/inputs"), 1u);
  expect_nothing_left();
}

TEST_F(BlobStoreTest, CountsAnInputAsNeededWhenItIsAskedFor) {
  open();
  ASSERT_TRUE(put("asked for", 9, Kind::kInput).ok());
  ASSERT_TRUE(put("uploaded again", 14, Kind::kInput).ok());
  ASSERT_TRUE(put("old", 3, Kind::kInput).ok());
  const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
  for (const char* bytes : {"asked for", "uploaded again", "old"})
    ASSERT_EQ(::utimensat(AT_FDCWD, (home_ / "blobs/inputs/" + hash_text(hash_of(bytes))).c_str(),
                          long_ago, 0),
              0);
  EXPECT_TRUE(store_->has(hash_of("asked for")));
  EXPECT_EQ(put("uploaded again", 14, Kind::kInput).value(), Stored::kWasThere);
  EXPECT_EQ(store_->drop_inputs({}, wall_now() - kLong, wall_now()), 1u);
  EXPECT_FALSE(store_->has(hash_of("old")));
  EXPECT_TRUE(store_->has(hash_of("uploaded again")));
}

TEST_F(BlobStoreTest, NeverDropsWhatCameBeforeThereWereMarks) {
  open();
  ASSERT_TRUE(put("old result").ok());
  std::filesystem::remove(home_ / "blobs/results/" + hash_text(hash_of("old result")));
  EXPECT_EQ(put("old result", 10, Kind::kInput).value(), Stored::kWasThere);
  EXPECT_EQ(store_->drop_inputs({}, wall_now() + kLong, wall_now()), 0u);
  EXPECT_TRUE(store_->has(hash_of("old result")));
}

// A crash leaves a prefix of: mark, name; and of: unname, unmark.
TEST_F(BlobStoreTest, IsInOrderAfterACrashBetweenMarkAndName) {
  open();
  spill(home_ / "blobs/inputs/" + hash_text(hash_of("never came")), "");
  spill(home_ / "blobs/results/" + hash_text(hash_of("never came either")), "");
  store_ = nullptr;
  open();
  EXPECT_EQ(store_->usage().blobs, 0u);
  EXPECT_FALSE(store_->has(hash_of("never came")));
  EXPECT_EQ(store_->drop_inputs({}, wall_now() + kLong, wall_now()), 0u);
  EXPECT_EQ(files_in(home_ / "blobs/inputs"), 0u);
  EXPECT_EQ(put("never came", 10, Kind::kInput).value(), Stored::kNew);
}

TEST_F(BlobStoreTest, AsksForRoomBeforeItRefuses) {
  open(1000);
  std::uint64_t others = 600;
  store_->room().add(others);
  int asked = 0;
  store_->room().on_short([&]() -> std::optional<std::uint64_t> {
    ++asked;
    if (others == 0) return std::nullopt;
    others -= 200;
    return 200;
  });
  EXPECT_TRUE(put(some_bytes(400, 1)).ok());
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(put(some_bytes(300, 2)).ok());
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(put(some_bytes(1001, 3)).refusal().reason, Reason::kOverloaded);
  EXPECT_EQ(asked, 2) << "what never fits is not worth anything";
  EXPECT_EQ(put(some_bytes(400, 4)).refusal().reason, Reason::kOverloaded);
  EXPECT_EQ(others, 0u);
}

TEST_F(BlobStoreTest, DoesNotFollowALinkInPlaceOfABlob) {
  open();
  spill(home_ / "secret", "secret");
  const std::string text = hash_text(hash_of("secret"));
  std::filesystem::create_symlink(home_ / "secret",
                                  home_ / "blobs/" + text.substr(0, 2) + "/" + text.substr(2));
  EXPECT_FALSE(store_->has(hash_of("secret")));
  EXPECT_FALSE(get(hash_of("secret"), 0, 6).ok());
}

}  // namespace
}  // namespace leat::blobs
