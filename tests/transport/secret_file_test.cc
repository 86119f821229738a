#include "transport/secret_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/transport/support.h"

namespace leat::transport {
namespace {

::mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

TEST(SecretFile, IsReadableByItsOwnerOnlyWhateverTheUmask) {
  const PrivateDirectory dir;
  const ::mode_t before = ::umask(0);
  ASSERT_TRUE(write_secret_file(dir / "key", "secret").ok());
  ASSERT_TRUE(ensure_private_directory(dir / "sub").ok());
  ::umask(0777);
  ASSERT_TRUE(replace_secret_file(dir / "token", "other").ok());
  ::umask(before);
  EXPECT_EQ(mode_of(dir / "key"), 0600u);
  EXPECT_EQ(mode_of(dir / "token"), 0600u);
  EXPECT_EQ(mode_of(dir / "sub"), 0700u);
  EXPECT_EQ(read_secret_file(dir / "key").value(), "secret");
}

TEST(SecretFile, IsNotOverwrittenUnlessAsked) {
  const PrivateDirectory dir;
  ASSERT_TRUE(write_secret_file(dir / "key", "first").ok());
  const Result<Done> again = write_secret_file(dir / "key", "second");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.refusal().reason, Reason::kConflict);
  EXPECT_EQ(read_secret_file(dir / "key").value(), "first");
  ASSERT_TRUE(replace_secret_file(dir / "key", "third").ok());
  EXPECT_EQ(read_secret_file(dir / "key").value(), "third");
}

TEST(SecretFile, LeavesNoSecondNameBehindAndSurvivesOneFromACrash) {
  const PrivateDirectory dir;
  spill(dir / "key.new", "half of a k");
  ASSERT_TRUE(write_secret_file(dir / "key", "whole").ok());
  EXPECT_FALSE(std::filesystem::exists(dir / "key.new"));
  EXPECT_EQ(read_secret_file(dir / "key").value(), "whole");
}

TEST(SecretFile, IsRefusedWhenOthersCanReadIt) {
  const PrivateDirectory dir;
  spill(dir / "key", "secret", 0644);
  const Result<std::string> read = read_secret_file(dir / "key");
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.refusal().message.find("mode 0644"), std::string::npos) << read.refusal().message;
  ::chmod((dir / "key").c_str(), 0400);
  EXPECT_TRUE(read_secret_file(dir / "key").ok());
}

TEST(SecretFile, IsRefusedWhenItBelongsToSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const PrivateDirectory dir;
  spill(dir / "key", "secret");
  ASSERT_TRUE(read_secret_file(dir / "key").ok());
  ASSERT_EQ(::chown((dir / "key").c_str(), 65534, 65534), 0);
  EXPECT_FALSE(read_secret_file(dir / "key").ok());
}

TEST(SecretFile, IsNeverReadThroughALink) {
  const PrivateDirectory dir;
  spill(dir / "real", "secret");
  ASSERT_EQ(::symlink("real", (dir / "key").c_str()), 0);
  EXPECT_FALSE(read_secret_file(dir / "key").ok());
  EXPECT_TRUE(read_secret_file(dir / "real").ok());
}

TEST(SecretFile, IsNeverWrittenThroughALink) {
  const PrivateDirectory dir;
  spill(dir / "victim", "mine");
  ASSERT_EQ(::symlink("victim", (dir / "key").c_str()), 0);
  EXPECT_FALSE(write_secret_file(dir / "key", "x").ok());
  ASSERT_EQ(::symlink("victim", (dir / "token.new").c_str()), 0);
  EXPECT_TRUE(replace_secret_file(dir / "token", "x").ok());
  EXPECT_EQ(slurp(dir / "victim"), "mine");
}

TEST(SecretFile, IsRefusedWhenItIsNoFileOrTooLong) {
  const PrivateDirectory dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_FALSE(read_secret_file(dir / "fifo").ok());
  EXPECT_FALSE(read_secret_file(dir.path()).ok());
  spill(dir / "most", std::string(kSecretFileBytesMax, 'x'));
  EXPECT_TRUE(read_secret_file(dir / "most").ok());
  spill(dir / "more", std::string(kSecretFileBytesMax + 1, 'x'));
  EXPECT_FALSE(read_secret_file(dir / "more").ok());
  const Result<std::string> none = read_secret_file(dir / "none");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kNotFound);
}

TEST(PrivateDirectoryCheck, RefusesOneThatOthersCanEnter) {
  const PrivateDirectory dir;
  EXPECT_TRUE(ensure_private_directory(dir.path()).ok());
  ::chmod(dir.path().c_str(), 0755);
  EXPECT_FALSE(ensure_private_directory(dir.path()).ok());
  ::chmod(dir.path().c_str(), 0700);
  ASSERT_EQ(::symlink(dir.path().c_str(), (dir / "link").c_str()), 0);
  EXPECT_FALSE(ensure_private_directory(dir / "link").ok());
  spill(dir / "file", "");
  EXPECT_FALSE(ensure_private_directory(dir / "file").ok());
  EXPECT_FALSE(ensure_private_directory(dir / "no/where").ok());
}

}  // namespace
}  // namespace leat::transport
