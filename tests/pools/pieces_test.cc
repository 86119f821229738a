// pieces_test.cc - stamps, names, detached programs and the removal of trees.

#include "pools/detached_program.h"
#include "pools/tree_remover.h"
#include "tests/pools/pool_fixture.h"

namespace leat::pools {
namespace {

TEST(ProcessStampTest, IsReadOnlyIfItIsWhole) {
  EXPECT_EQ(parse_stamp("12 345\n").value(), (ProcessStamp{12, 345, ""}));
  EXPECT_EQ(parse_stamp("12 345 boot\n").value(), (ProcessStamp{12, 345, "boot"}));
  for (const char* text : {"", "12", "12 ", "x 345", "12 y", "-1 345", "0 1", "12 3 b more",
                           "99999999999999 1", "12,345"})
    EXPECT_FALSE(parse_stamp(text).ok()) << text;
}

TEST(DirectoryNameTest, IsReadOnlyAsItIsWritten) {
  const NodeRef node{NodeId{3}, NodeEpoch{17}};
  EXPECT_EQ(directory_name(node), "3-17");
  EXPECT_EQ(parse_directory_name("3-17"), node);
  for (const char* name : {"", "3", "3-", "-17", "03-17", "3-17x", "3-17.new", ".new-3-17",
                           "4294967296-1", "3--17", "../3-17"})
    EXPECT_FALSE(parse_directory_name(name).has_value()) << name;
}

TEST(NodeFileTest, KeepsWhatItIsTold) {
  NodeOrder order;
  order.node = {NodeId{3}, NodeEpoch{17}};
  order.pool = "a\"b\\c\n";
  order.agent_address = "127.0.0.1:1";
  order.labels = {"ssd", "b\"ig"};
  order.mock = true;
  const std::string text = node_file_text(order, {CoreShare{4, 2}, {3, 2}}, "/bin/warden");
  EXPECT_NE(text.find(R"("pool": "a\"b\\c\u000a")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("labels": ["ssd", "b\"ig"])"), std::string::npos) << text;
  EXPECT_EQ(cores_in_node_file(text)->first, 4u);
  EXPECT_EQ(cores_in_node_file(text)->count, 2u);
  EXPECT_TRUE(mock_in_node_file(text));
  const std::string moved = *with_head_address(text, "[::1]:2");
  EXPECT_NE(moved.find(R"("head_address": "[::1]:2",)"), std::string::npos) << moved;
  EXPECT_EQ(*with_head_address(moved, "127.0.0.1:1"), text);
  EXPECT_FALSE(with_head_address("{}", "x").has_value());
}

TEST_F(PoolTest, ADetachedProgramHasItsOwnSessionAndNothingOfOurs) {
  const kj::AutoCloseFd leak(::open("/dev/null", O_RDONLY));
  ::signal(SIGPIPE, SIG_IGN);
  DetachedProgram program;
  program.argv = {"/bin/sh", "-c",
                  "ls -m /proc/$$/fd; grep SigIgn /proc/$$/status; pwd; env; exit 3"};
  program.environment = {"ONLY=this"};
  program.log_path = home_ + "/log";
  program.stamp_path = home_ + "/stamp";
  program.boot_id = "boot";
  const auto started = start_detached(io_.unixEventPort, program);
  ASSERT_TRUE(started.ok()) << started.refusal().message;
  Process& process = *started.value();
  const Result<std::optional<ProcessStamp>> stamp = read_stamp(program.stamp_path);
  ASSERT_TRUE(stamp.ok() && stamp.value().has_value());
  EXPECT_EQ(stamp.value()->pid, process.pid());
  EXPECT_EQ(stamp.value()->boot_id, "boot");
  wait(process.on_exit());
  EXPECT_EQ(process.reap(), 3);
  const std::string log = content_of(program.log_path);
  EXPECT_EQ(log.rfind("0, 1, 2\nSigIgn:\t0000000000000000\n/\n", 0), 0u) << log;
  EXPECT_NE(log.find("ONLY=this"), std::string::npos);
  EXPECT_EQ(log.find("HOME="), std::string::npos);
}

TEST_F(PoolTest, AProcessIsFoundByItsStampAndNoOther) {
  const std::uint64_t ticks = *start_ticks_of(::getpid());
  const auto find = [&](const ProcessStamp& stamp) {
    return Process::find(io_.unixEventPort, stamp, "now") != nullptr;
  };
  EXPECT_TRUE(find({::getpid(), ticks, ""}));
  EXPECT_TRUE(find({::getpid(), ticks, "now"}));
  EXPECT_FALSE(find({::getpid(), ticks, "then"}));
  EXPECT_FALSE(find({::getpid(), ticks + 1, ""}));
  EXPECT_FALSE(find({0x3ffffff, ticks, ""}));
}

TEST_F(PoolTest, ATreeOfAnyShapeIsRemovedAndNothingElse) {
  const std::string tree = home_ + "/tree";
  const std::string outside = home_ + "/outside";
  std::filesystem::create_directories(outside);
  write_text(outside + "/kept", "x");
  std::filesystem::create_directory(tree);
  std::filesystem::create_directory_symlink(outside, tree + "/link");
  const int deep = 600;
  kj::AutoCloseFd at(::open(tree.c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < deep; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "a-directory-with-a-longer-name", 0700), 0);
    at = kj::AutoCloseFd(::openat(at.get(), "a-directory-with-a-longer-name", O_RDONLY));
  }
  for (int i = 0; i < 1000; ++i) write_text(tree + "/file" + std::to_string(i), "");
  std::filesystem::create_directory(tree + "/shut");
  write_text(tree + "/shut/in", "");
  ::chmod((tree + "/shut").c_str(), 0);

  TreeRemover remover(home_ + "/.trash", io_.provider->getTimer());
  ASSERT_TRUE(remover.remove(tree).ok());
  EXPECT_FALSE(std::filesystem::exists(tree));
  wait(remover.on_idle());
  EXPECT_TRUE(std::filesystem::is_empty(home_ + "/.trash"));
  EXPECT_EQ(content_of(outside + "/kept"), "x");
  EXPECT_FALSE(remover.remove(home_ + "/nothing").ok());
}

TEST_F(PoolTest, TrashOfAnEarlierLifeIsRemovedToo) {
  std::filesystem::create_directories(home_ + "/.trash/1/2");
  write_text(home_ + "/.trash/1/2/file", "");
  TreeRemover remover(home_ + "/.trash", io_.provider->getTimer());
  std::filesystem::create_directory(home_ + "/tree");
  ASSERT_TRUE(remover.remove(home_ + "/tree").ok());
  wait(remover.on_idle());
  EXPECT_TRUE(std::filesystem::is_empty(home_ + "/.trash"));
}

}  // namespace
}  // namespace leat::pools
