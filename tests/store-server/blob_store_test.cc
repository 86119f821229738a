// blob_store_test.cc - blobs on disk: whole or absent, counted, within the quota.

#include "store-server/blob_store.h"

#include <sys/resource.h>

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

  Result<Stored> put(const std::string& bytes, std::uint64_t declared) {
    Result<std::unique_ptr<IncomingBlob>> incoming = store_->begin(declared);
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
