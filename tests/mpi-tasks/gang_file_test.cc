#include "mpi-tasks/gang_file.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "base/random.h"
#include "schema/gang.capnp.h"

namespace leat::mpi {
namespace {

using Change = std::function<void(schema::GangFile::Builder)>;

// A good file of one node with two ranks, but for `change`.
std::string file(const Change& change = nullptr) {
  capnp::MallocMessageBuilder message;
  auto gang = message.initRoot<schema::GangFile>();
  gang.setVersion(schema::GANG_VERSION);
  gang.setNamespace("leat-test");
  auto node = gang.initNodes(1)[0];
  node.setName("a");
  node.setRanks({0, 1});
  gang.initProgram(1).set(0, "true");
  gang.initEnvironment(1).set(0, "A=b");
  gang.setDirectory("/");
  gang.setPrivateDirectory("/dev/shm/leat-test");
  if (change != nullptr) change(gang);
  const auto words = capnp::messageToFlatArray(message);
  return {words.asChars().begin(), words.asChars().size()};
}

std::string refusal(const Change& change) {
  const std::string bytes = file(change);
  const Result<GangSpec> spec = parse_gang(std::as_bytes(std::span(bytes)));
  return spec.ok() ? "" : spec.refusal().message;
}

TEST(GangFile, IsReadWhole) {
  const std::string bytes = file([](schema::GangFile::Builder gang) {
    gang.setMpi(schema::MpiMode::REQUIRED);
    gang.initCoordination(2).set(0, "make");
    gang.getCoordination().set(1, "app");
    gang.setNodeCpus(1);
    gang.setTopology("/var/tmp/topology.xml");
    gang.initCpus(2).init(1, 1).set(0, 5);
  });
  const GangSpec spec = parse_gang(std::as_bytes(std::span(bytes))).value();
  EXPECT_EQ(spec.nspace, "leat-test");
  EXPECT_EQ(spec.mpi, MpiMode::kRequired);
  EXPECT_EQ(spec.coordination, (std::vector<std::string>{"make", "app"}));
  EXPECT_EQ(spec.topology, "/var/tmp/topology.xml");
  EXPECT_FALSE(spec.application);
  EXPECT_TRUE(spec.oversubscribed());
  EXPECT_EQ(spec.cpus, (std::vector<std::vector<std::uint16_t>>{{}, {5}}));
  EXPECT_EQ(spec.grace, std::chrono::seconds(5));
  EXPECT_EQ(spec.fence_limit, Duration::zero());
}

TEST(GangFile, SaysWhatIsWrongWithIt) {
  using Gang = schema::GangFile::Builder;
  EXPECT_EQ(refusal([](Gang gang) { gang.setVersion(2); }), "version 2, this launcher reads 1");
  EXPECT_EQ(refusal([](Gang gang) { gang.setNodeIndex(1); }), "nodeIndex: there is no node 1");
  EXPECT_EQ(refusal([](Gang gang) { gang.setNamespace("a/b"); }),
            "namespace: 'a/b' is no name for a gang");
  EXPECT_EQ(refusal([](Gang gang) { gang.initProgram(0); }), "program: none");
  EXPECT_EQ(refusal([](Gang gang) { gang.initEnvironment(1).set(0, "A"); }),
            "environment: 'A' is not NAME=value");
  EXPECT_EQ(refusal([](Gang gang) { gang.initCoordination(1); }),
            "coordination: a program without a name");
  EXPECT_EQ(refusal([](Gang gang) { gang.setDirectory("here"); }), "directory: must be absolute");
  EXPECT_EQ(refusal([](Gang gang) { gang.setPrivateDirectory("/dev/shm/"); }),
            "privateDirectory: must be an absolute path of at most 512 bytes");
  EXPECT_EQ(refusal([](Gang gang) { gang.initCpus(1); }), "cpus: 1 lists for 2 ranks");
  EXPECT_EQ(refusal([](Gang gang) { gang.initCpus(2).init(0, 1).set(0, 9999); }),
            "cpus: there is no CPU 9999");
  EXPECT_EQ(refusal([](Gang gang) {
              gang.getNodes()[0].setRanks({0, 2});
            }),
            "nodes: node a: rank 2 is not below their number");
  EXPECT_EQ(refusal([](Gang gang) { gang.setGraceMs(4'000'000); }), "graceMs: more than an hour");
  EXPECT_EQ(refusal([](Gang gang) { gang.setMpi(static_cast<schema::MpiMode>(7)); }),
            "mpi: a mode that this launcher does not know");
}

TEST(GangFile, OfSeveralNodesNeedsASocketAndCredentials) {
  const auto two = [](schema::GangFile::Builder gang) {
    auto nodes = gang.initNodes(2);
    nodes[0].setName("a");
    nodes[0].setRanks({0});
    nodes[1].setName("b");
    nodes[1].setRanks({1});
  };
  EXPECT_EQ(refusal(two), "listenFd, listenAddress: the hub needs one of them");
  EXPECT_EQ(refusal([&](schema::GangFile::Builder gang) {
              two(gang);
              gang.setNodeIndex(1);
            }),
            "hubAddress: must be HOST:PORT");
  EXPECT_EQ(refusal([&](schema::GangFile::Builder gang) {
              two(gang);
              gang.setListenFd(3);
              gang.setTreeWidth(4097);
            }),
            "treeWidth: at most 4096");
  EXPECT_EQ(refusal([&](schema::GangFile::Builder gang) {
              two(gang);
              gang.setListenFd(3);
            }),
            "credentials: the certificate cannot be read");
  EXPECT_EQ(refusal([&](schema::GangFile::Builder gang) {
              two(gang);
              gang.setListenAddress("127.0.0.1:7");
            }),
            "credentials: the certificate cannot be read");
}

TEST(GangFile, DamagedIsReadOrRefusedButDoesNoHarm) {
  const std::string good = file();
  Random random(9);
  for (int round = 0; round < 2000; ++round) {
    std::string bad =
        good.substr(0, random.below(2) == 0 ? good.size() : random.below(good.size()));
    for (std::uint64_t i = random.below(4); i-- > 0 && !bad.empty();)
      bad[random.below(bad.size())] = static_cast<char>(random.below(256));
    const Result<GangSpec> spec = parse_gang(std::as_bytes(std::span(bad)));
    if (spec.ok()) continue;
    EXPECT_EQ(spec.refusal().message.find('\n'), std::string::npos);
  }
}

// The program itself, for its exit code and its one line.
class GangFileOnDisk : public testing::Test {
 protected:
  GangFileOnDisk() {
    char name[] = "/tmp/leat-gang-file-XXXXXX";
    folder = ::mkdtemp(name);
  }
  ~GangFileOnDisk() override {
    ::unlink((folder + "/gang").c_str());
    ::unlink((folder + "/error").c_str());
    ::rmdir(folder.c_str());
  }
  void put(const std::string& content, mode_t mode) const {
    std::ofstream(folder + "/gang", std::ios::binary) << content;
    ::chmod((folder + "/gang").c_str(), mode);
  }
  // "code: its one line", FOLDER for our folder.
  std::string launch() const {
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (std::freopen((folder + "/error").c_str(), "w", stderr) == nullptr) ::_exit(99);
      ::execl(LEAT_LAUNCHER_PROGRAM, "leat-mpi-launcher", "--gang", (folder + "/gang").c_str(),
              nullptr);
      ::_exit(98);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    std::ifstream error(folder + "/error");
    std::string line;
    std::getline(error, line);
    std::string more;
    if (std::getline(error, more)) line += " AND MORE";
    for (std::size_t at = 0; (at = line.find(folder)) != std::string::npos;)
      line.replace(at, folder.size(), "FOLDER");
    return std::to_string(WEXITSTATUS(status)) + ": " + line;
  }

  std::string folder;
};

TEST_F(GangFileOnDisk, ThatIsMissingOrOpenToOthersOrNonsenseEndsWithTwoAndOneLine) {
  EXPECT_EQ(launch(), "2: leat-mpi-launcher: FOLDER/gang: cannot open: No such file or directory");
  put(file(), 0644);
  EXPECT_EQ(launch(), "2: leat-mpi-launcher: FOLDER/gang: mode 0644 lets others in; chmod go= it");
  put(file([](schema::GangFile::Builder gang) { gang.setVersion(9); }), 0600);
  EXPECT_EQ(launch(), "2: leat-mpi-launcher: FOLDER/gang: version 9, this launcher reads 1");
  put("nonsense", 0600);
  EXPECT_TRUE(launch().starts_with("2: leat-mpi-launcher: FOLDER/gang: not a gang file: "))
      << launch();
  if (::geteuid() != 0) return;
  put(file(), 0600);
  ASSERT_EQ(::chown((folder + "/gang").c_str(), 65534, 65534), 0);
  EXPECT_EQ(launch(), "2: leat-mpi-launcher: FOLDER/gang: belongs to uid 65534, not to us");
}

}  // namespace
}  // namespace leat::mpi
