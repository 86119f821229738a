#include "node-agent/gang_files.h"

#include <arpa/inet.h>
#include <capnp/serialize.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <kj/io.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/gang_memory.h"
#include "node-agent/topology.h"
#include "schema/gang.capnp.h"
#include "transport/authority.h"

namespace leat::agent {
namespace {

namespace fs = std::filesystem;

const NodeRef kFirst{NodeId{1}, NodeEpoch{11}};
const NodeRef kSecond{NodeId{2}, NodeEpoch{12}};
const RunId kRun{JobId{17}, 0, 1, 3};

// A node's directory, and the private directories that its gangs may leave in memory.
class Node {
 public:
  Node() {
    char name[] = "/tmp/leat-gangs-XXXXXX";
    directory_ = ::mkdtemp(name);
    struct stat about {};
    EXPECT_EQ(::stat(directory_.c_str(), &about), 0);
    memory_ = std::string(kSharedMemory) + "/" + gang_memory_prefix(about.st_dev, about.st_ino);
  }
  ~Node() { fs::remove_all(directory_); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  GangFiles life(const std::string& host = "127.0.0.1") const {
    return GangFiles(
        {directory_, host, "abcdefghij234567", kFirst, [] { return std::time(nullptr); }});
  }
  std::string file(const std::string& run) const { return directory_ + "/gangs/" + run + ".gang"; }
  std::string memory(const std::string& run) const { return memory_ + run + "-0123abcd"; }

 private:
  std::string directory_;
  std::string memory_;
};

GangStart start_of(std::uint32_t member, std::optional<GangHub> hub = {}) {
  return {member, {{kFirst, "alpha"}, {kSecond, "beta"}}, std::move(hub), ""};
}

StageSpec spec() {
  StageSpec spec;
  spec.program.argv = {"/bin/true"};
  spec.gang = GangSpec{};
  return spec;
}

MemberLaunch launch() {
  return {{"/bin/true"}, {}, 1, "/tmp"};
}

std::string private_directory_in(const std::string& path) {
  const kj::AutoCloseFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  capnp::StreamFdMessageReader message(fd.get());
  return message.getRoot<schema::GangFile>().getPrivateDirectory().cStr();
}

// Whether somebody else of our user may listen there.
bool can_listen(const std::string& address) {
  const int port = std::stoi(address.substr(address.rfind(':') + 1));
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool can =
      ::bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 && ::listen(fd, 1) == 0;
  ::close(fd);
  return can;
}

TEST(GangFiles, TellsTheSameMeetingPlaceAgainAlsoInTheNextLifeOfTheAgent) {
  const Node node;
  GangHub hub;
  {
    GangFiles gangs = node.life();
    ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
    hub = gangs.hub_of(kRun).value();
    ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
    EXPECT_EQ(gangs.hub_of(kRun), hub);
    EXPECT_TRUE(can_listen(hub.address)) << hub.address;
    ASSERT_TRUE(gangs.write(kRun, spec(), launch()).ok());
  }
  EXPECT_EQ(node.life().hub_of(kRun), hub);
}

// The others of the gang have been sent there.
TEST(GangFiles, MeetsWhereAnEarlierLifeSaidThoughItStartedNothing) {
  const Node node;
  GangHub hub;
  {
    GangFiles gangs = node.life();
    ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
    hub = gangs.hub_of(kRun).value();
  }
  GangFiles gangs = node.life();
  gangs.keep_only({});
  EXPECT_FALSE(fs::exists(node.file("17.0.3.1")));
  ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
  EXPECT_EQ(gangs.hub_of(kRun), hub);
  const std::string path = gangs.write(kRun, spec(), launch()).value();
  EXPECT_EQ(node.life().hub_of(kRun), hub);
  gangs.drop(kRun);
  EXPECT_FALSE(fs::exists(path));
  ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
  EXPECT_NE(gangs.hub_of(kRun), hub);
}

TEST(GangFiles, GivesEveryRunADirectoryThatNobodyCanMakeBefore) {
  const Node node;
  GangFiles gangs = node.life();
  std::set<std::string> directories;
  for (Attempt attempt = 1; attempt < 4; ++attempt) {
    RunId run = kRun;
    run.attempt = attempt;
    ASSERT_TRUE(gangs.begin(run, start_of(1)).ok());
    const std::string directory = private_directory_in(gangs.write(run, spec(), launch()).value());
    directories.insert(directory.substr(directory.rfind('-')));
  }
  EXPECT_EQ(directories.size(), 3u);
}

TEST(GangFiles, MakesCredentialsThatBelongTogetherAndToOneGangAlone) {
  const Node node;
  GangFiles gangs = node.life();
  RunId other = kRun;
  other.attempt = 2;
  ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
  ASSERT_TRUE(gangs.begin(other, start_of(0)).ok());
  const GangHub one = gangs.hub_of(kRun).value();
  const GangHub two = gangs.hub_of(other).value();
  EXPECT_TRUE(
      transport::check_credentials({one.certificate_pem, one.key_pem, one.authority_pem}).ok());
  EXPECT_FALSE(
      transport::check_credentials({one.certificate_pem, one.key_pem, two.authority_pem}).ok());
}

TEST(GangFiles, KeepsTheKeyToItself) {
  const Node node;
  GangFiles gangs = node.life();
  ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
  const std::string path = gangs.write(kRun, spec(), launch()).value();
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(fs::path(path).parent_path().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700u);
}

TEST(GangFiles, SparesLaunchersALookAtTheMachine) {
  const Node node;
  GangFiles gangs = node.life();
  ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
  const std::string path = gangs.write(kRun, spec(), launch()).value();
  const kj::AutoCloseFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  capnp::StreamFdMessageReader message(fd.get());
  const std::string saved = message.getRoot<schema::GangFile>().getTopology().cStr();
  ASSERT_TRUE(saved.starts_with('/'));
  const Result<Topology> read = Topology::from_xml(saved, {});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().millicores(), Topology::discover({}).value().millicores());
  // What stands there is used by launchers that run: another gang leaves it alone.
  const auto written = fs::last_write_time(saved);
  const RunId other{JobId{18}, 0, 1, 1};
  ASSERT_TRUE(gangs.begin(other, start_of(0)).ok());
  ASSERT_TRUE(gangs.write(other, spec(), launch()).ok());
  EXPECT_EQ(fs::last_write_time(saved), written);
}

TEST(GangFiles, LeavesNothingOfARunThatIsOver) {
  const Node node;
  GangFiles gangs = node.life();
  ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
  const std::string path = gangs.write(kRun, spec(), launch()).value();
  const std::string directory = private_directory_in(path);
  ASSERT_EQ(directory.find(node.memory("17.0.3.1").substr(0, directory.rfind('-'))), 0u);
  fs::create_directories(directory + "/memory");
  gangs.drop(kRun);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::exists(directory));
  EXPECT_FALSE(gangs.hub_of(kRun).has_value());
}

TEST(GangFiles, LeavesNothingOfARunThatAnEarlierLifeStarted) {
  const Node node;
  std::string path;
  {
    GangFiles gangs = node.life();
    ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
    path = gangs.write(kRun, spec(), launch()).value();
  }
  const std::string directory = private_directory_in(path);
  fs::create_directories(directory + "/memory");
  GangFiles gangs = node.life();
  gangs.keep_only(std::vector<RunId>{kRun});
  EXPECT_TRUE(fs::exists(directory));
  gangs.drop(kRun);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::exists(directory));
}

TEST(GangFiles, ClearsAwayWhatEarlierLivesHaveLeft) {
  const Node node;
  RunId alive = kRun;
  alive.index = 4;
  {
    GangFiles gangs = node.life();
    for (const RunId& run : {kRun, alive}) {
      ASSERT_TRUE(gangs.begin(run, start_of(0)).ok());
      ASSERT_TRUE(gangs.write(run, spec(), launch()).ok());
    }
  }
  fs::create_directory(node.memory("17.0.3.1"));
  fs::create_directory(node.memory("17.0.4.1"));
  fs::create_directory(node.memory("16.0.0.1"));
  // The agent died while it wrote this, which has a key in it.
  const std::string unfinished = node.file("17.0.5.1") + ".new";
  std::ofstream(unfinished) << "half";
  GangFiles gangs = node.life();
  gangs.keep_only(std::vector<RunId>{alive});
  EXPECT_FALSE(fs::exists(node.file("17.0.3.1")));
  EXPECT_FALSE(fs::exists(node.memory("17.0.3.1")));
  EXPECT_FALSE(fs::exists(node.memory("16.0.0.1")));
  EXPECT_FALSE(fs::exists(unfinished));
  EXPECT_TRUE(fs::exists(node.file("17.0.4.1")));
  EXPECT_TRUE(fs::exists(node.memory("17.0.4.1")));
  gangs.keep_only({});
  EXPECT_FALSE(fs::exists(node.memory("17.0.4.1")));
}

TEST(GangFiles, SaysWhyThereIsNoPlaceToMeet) {
  const Node node;
  GangFiles gangs = node.life("192.0.2.1");  // of nobody: RFC 5737
  const Result<Done> begun = gangs.begin(kRun, start_of(0));
  ASSERT_FALSE(begun.ok());
  EXPECT_EQ(begun.refusal().message.find("192.0.2.1: no port for a gang"), 0u)
      << begun.refusal().message;
  EXPECT_FALSE(gangs.hub_of(kRun).has_value());
  EXPECT_FALSE(gangs.write(kRun, spec(), launch()).ok());
}

TEST(GangFiles, RefusesRanksThatDoNotFitTheNodes) {
  const Node node;
  GangFiles gangs = node.life();
  ASSERT_TRUE(gangs.begin(kRun, start_of(0)).ok());
  StageSpec three = spec();
  three.gang->ranks_per_node = {1, 2, 3};
  EXPECT_FALSE(gangs.write(kRun, three, launch()).ok());
}

TEST(GangFiles, LetsRanksTalkWhereTheJobSaysOrThePool) {
  const auto written = [](const std::string& host, const std::string& pool,
                          const std::string& job) {
    const Node node;
    GangFiles gangs = node.life(host);
    GangStart start{0, {{kFirst, "alpha"}}, {}, pool};
    EXPECT_TRUE(gangs.begin(kRun, start).ok());
    StageSpec wanted = spec();
    wanted.gang->interfaces = job;
    std::ifstream file(gangs.write(kRun, wanted, launch()).value(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    for (const char* name : {"ofjob0", "ofpool0"})
      if (bytes.find(name) != std::string::npos) return std::string(name);
    return bytes.find(std::string("lo\0", 3)) != std::string::npos ? std::string("lo")
                                                                   : std::string();
  };
  EXPECT_EQ(written("10.0.0.1", "ofpool0", "ofjob0"), "ofjob0");
  EXPECT_EQ(written("10.0.0.1", "ofpool0", ""), "ofpool0");
  EXPECT_EQ(written("127.0.0.1", "ofpool0", ""), "ofpool0");
  EXPECT_EQ(written("127.0.0.1", "", ""), "lo");
  EXPECT_EQ(written("10.0.0.1", "", ""), "");
}

TEST(GangFiles, NeedsNoMeetingPlaceForASingleNode) {
  const Node node;
  GangFiles gangs = node.life("192.0.2.1");
  ASSERT_TRUE(gangs.begin(kRun, {0, {{kFirst, "alpha"}}, {}, ""}).ok());
  EXPECT_FALSE(gangs.hub_of(kRun).has_value());
  EXPECT_TRUE(gangs.write(kRun, spec(), launch()).ok());
}

}  // namespace
}  // namespace leat::agent
