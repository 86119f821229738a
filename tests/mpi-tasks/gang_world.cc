#include "tests/mpi-tasks/gang_world.h"

#include <arpa/inet.h>
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <kj/time.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <utility>

#include "schema/gang.capnp.h"
#include "spool/rank_frames.h"
#include "tests/mpi-tasks/litter.h"
#include "transport/identity.h"

namespace leat::mpi {
namespace {

namespace fs = std::filesystem;

constexpr int kDeadlineMs = 60'000;
constexpr int kListenFd = 9;

transport::WallSeconds wall_now() {
  return (kj::systemPreciseCalendarClock().now() - kj::UNIX_EPOCH) / kj::SECONDS;
}

int bind_here(const std::string& host) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes), 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

int listen_here(const std::string& host) {
  const int fd = bind_here(host);
  EXPECT_EQ(::listen(fd, 64), 0);
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const std::string& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

std::map<Rank, std::string> taken_apart(const std::string& stream, std::uint64_t& skipped) {
  std::map<Rank, std::string> ranks;
  spool::RankFrameReader reader(
      [&](std::uint32_t rank, std::string_view content) { ranks[rank] += content; });
  reader.feed(stream);
  reader.finish();
  skipped += reader.skipped_bytes();
  return ranks;
}

// Takes out of a framed stream what its launcher tells programs.
void take_places(std::string& stream, LauncherEnd& end) {
  spool::RankFrameReader others([&](std::uint32_t rank, std::string_view content) {
    if (rank != spool::kAboutRanks) return;
    std::string record;
    spool::append_rank_frame(record, rank, content);
    const std::size_t at = stream.find(record);
    if (at != std::string::npos) stream.erase(at, record.size());
  });
  spool::RankPlaceReader places;
  const std::string whole = stream;
  places.feed(whole);
  others.feed(whole);
  end.places = places.places();
  end.subtasks = places.subtasks();
}

void set_texts(capnp::List<capnp::Text>::Builder to, const std::vector<std::string>& from) {
  for (unsigned i = 0; i < to.size(); ++i) to.set(i, from[i].c_str());
}

}  // namespace

// A launcher, and what it has written so far.
struct GangWorld::Process {
  NodeIndex node = 0;
  pid_t pid = -1;
  std::mutex mutex;
  std::condition_variable more;
  std::string out;
  std::string error;
  std::vector<std::thread> readers;

  void read(int fd, std::string& into) {
    readers.emplace_back([this, fd, &into] {
      char bytes[4096];
      for (ssize_t n = 0; (n = ::read(fd, bytes, sizeof bytes)) > 0;) {
        const std::lock_guard lock(mutex);
        into.append(bytes, static_cast<std::size_t>(n));
        more.notify_all();
      }
      ::close(fd);
    });
  }
};

GangWorld::GangWorld(GangPlan plan) : plan_(std::move(plan)), before_(litter()) {
  static std::atomic<int> count{0};
  char name[] = "/tmp/leat-gang-XXXXXX";
  directory_ = ::mkdtemp(name);
  nspace_ = "leat-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
  const auto now = wall_now();
  auto authority =
      transport::ClusterAuthority::create(directory_, transport::new_cluster_id(), now).value();
  for (NodeIndex node = 0; node < plan_.nodes.size(); ++node)
    credentials_.push_back(
        authority.issue({transport::Peer::Kind::kAgent, {NodeId{node + 1}, 1}, 0}, now));
}

GangWorld::~GangWorld() {
  for (const auto& process : processes_)
    if (process->pid > 0) ::kill(process->pid, SIGKILL);
  for (const pid_t pid : processes()) ::kill(pid, SIGKILL);
  for (const auto& process : processes_) {
    if (process->pid > 0) ::waitpid(process->pid, nullptr, 0);
    for (std::thread& reader : process->readers)
      if (reader.joinable()) reader.join();
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
  for (NodeIndex node = 0; node < plan_.nodes.size(); ++node)
    fs::remove_all(private_directory(node), ignored);
}

std::string GangWorld::gang_file(NodeIndex node) const {
  return directory_ + "/gang-" + std::to_string(node);
}

std::string GangWorld::private_directory(NodeIndex node) const {
  return "/dev/shm/" + nspace_ + "-" + std::to_string(node);
}

void GangWorld::write_gang_file(NodeIndex node, std::uint16_t port) {
  capnp::MallocMessageBuilder message;
  auto file = message.initRoot<schema::GangFile>();
  file.setVersion(schema::GANG_VERSION);
  file.setNamespace(nspace_.c_str());
  file.setAttempt(1);
  file.setNodeIndex(node);
  auto nodes = file.initNodes(static_cast<unsigned>(plan_.nodes.size()));
  for (unsigned i = 0; i < nodes.size(); ++i) {
    nodes[i].setName(plan_.nodes[i].name.c_str());
    const auto& ranks = plan_.nodes[i].ranks;
    nodes[i].setRanks(kj::arrayPtr(ranks.data(), ranks.size()));
  }
  const std::string hub = plan_.hub_host + ":" + std::to_string(port);
  file.setHubAddress(hub.c_str());
  if (plan_.hub_listens)
    file.setListenAddress(plan_.listen_address.empty() ? hub.c_str()
                                                       : plan_.listen_address.c_str());
  else
    file.setListenFd(kListenFd);
  set_texts(file.initProgram(static_cast<unsigned>(plan_.program.size())), plan_.program);
  set_texts(file.initEnvironment(static_cast<unsigned>(plan_.environment.size())),
            plan_.environment);
  file.setDirectory(plan_.directory.c_str());
  auto cpus = file.initCpus(static_cast<unsigned>(plan_.cpus.size()));
  for (unsigned i = 0; i < cpus.size(); ++i) {
    auto list = cpus.init(i, static_cast<unsigned>(plan_.cpus[i].size()));
    for (unsigned j = 0; j < list.size(); ++j) {
      const std::uint32_t after = node * static_cast<std::uint32_t>(plan_.cpus.size());
      const std::uint32_t cpu = plan_.cpus[i][j] + after;
      list.set(j, plan_.shared_cpus == 0 ? plan_.cpus[i][j]
                                         : static_cast<std::uint16_t>(cpu % plan_.shared_cpus));
    }
  }
  file.setTopology(plan_.topology.c_str());
  file.setNodeCpus(plan_.node_cpus);
  file.setGraceMs(plan_.grace_ms);
  file.setRegisteredMs(plan_.registered_ms);
  file.setMpi(static_cast<schema::MpiMode>(plan_.mpi));
  set_texts(file.initCoordination(static_cast<unsigned>(plan_.coordination.size())),
            plan_.coordination);
  file.setApplication(plan_.application);
  file.setInterfaces(plan_.interfaces.c_str());
  file.setStarNodes(plan_.star_nodes);
  file.setTreeWidth(plan_.tree_width);
  file.setPrivateDirectory(private_directory(node).c_str());
  file.setAuthorityPem(credentials_[node].authority_pem.c_str());
  file.setCertificatePem(credentials_[node].certificate_pem.c_str());
  file.setKeyPem(credentials_[node].key_pem.c_str());
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = words.asChars();
  std::ofstream(gang_file(node), std::ios::binary)
      .write(bytes.begin(), static_cast<std::streamsize>(bytes.size()));
  ::chmod(gang_file(node).c_str(), 0600);
}

void GangWorld::spawn(NodeIndex node, int listener) {
  std::vector<std::string> words;
  if (node < plan_.prefixes.size()) words = plan_.prefixes[node];
  words.insert(words.end(), {LEAT_LAUNCHER_PROGRAM, "--gang", gang_file(node)});
  if (plan_.plain) words.emplace_back("--plain");
  std::vector<std::string> variables{"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                     "LEAT_TEST_GANG=" + nspace_,
                                     // libpmix and Open MPI do not free all they have.
                                     "ASAN_OPTIONS=detect_leaks=0"};
  variables.insert(variables.end(), plan_.inherited.begin(), plan_.inherited.end());
  int out[2];
  int error[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(error, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, error[1], 2);
  if (listener >= 0) posix_spawn_file_actions_adddup2(&actions, listener, kListenFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  auto process = std::make_unique<Process>();
  process->node = node;
  EXPECT_EQ(::posix_spawnp(&process->pid, words.front().c_str(), &actions, &attributes,
                           pointers(words).data(), pointers(variables).data()),
            0);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(error[1]);
  process->read(out[0], process->out);
  process->read(error[0], process->error);
  processes_.push_back(std::move(process));
}

void GangWorld::start() {
  std::vector<NodeIndex> all;
  for (NodeIndex node = 0; node < plan_.nodes.size(); ++node) all.push_back(node);
  start(all);
}

void GangWorld::start(const std::vector<NodeIndex>& nodes) {
  const int listener = plan_.listen != nullptr ? plan_.listen(plan_.hub_host)
                       : plan_.hub_listens     ? bind_here(plan_.hub_host)
                                               : listen_here(plan_.hub_host);
  for (const NodeIndex node : nodes) {
    write_gang_file(node, port_of(listener));
    const bool inherits = node == 0 && plan_.nodes.size() > 1 && !plan_.hub_listens;
    spawn(node, inherits ? listener : -1);
  }
  if (plan_.hub_listens)
    keeper_ = kj::AutoCloseFd(listener);
  else
    ::close(listener);
}

std::vector<LauncherEnd> GangWorld::wait() {
  std::vector<LauncherEnd> ends;
  for (const auto& process : processes_) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, process->pid, 0));
    pollfd ended{pidfd, POLLIN, 0};
    if (::poll(&ended, 1, kDeadlineMs) != 1) {
      ADD_FAILURE() << "the launcher of node " << process->node << " does not end";
      ::kill(process->pid, SIGKILL);
    }
    ::close(pidfd);
    int status = 0;
    ::waitpid(process->pid, &status, 0);
    process->pid = -1;
    for (std::thread& reader : process->readers) reader.join();
    process->readers.clear();
    LauncherEnd end;
    end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    end.out = process->out;
    end.error = process->error;
    if (!plan_.plain) {
      end.rank_out = taken_apart(end.out, end.skipped);
      take_places(end.error, end);
      end.rank_error = taken_apart(end.error, end.skipped);
    }
    ends.push_back(std::move(end));
  }
  return ends;
}

void GangWorld::wait_for_output(NodeIndex node, const std::string& text) {
  for (const auto& process : processes_) {
    if (process->node != node) continue;
    std::unique_lock lock(process->mutex);
    EXPECT_TRUE(
        process->more.wait_for(lock, std::chrono::milliseconds(kDeadlineMs),
                               [&] { return process->out.find(text) != std::string::npos; }))
        << "node " << node << " has not written: " << text;
  }
}

void GangWorld::signal(NodeIndex node, int number) {
  for (const auto& process : processes_)
    if (process->node == node && process->pid > 0) ::kill(process->pid, number);
}

bool GangWorld::has_ended(NodeIndex node, bool wait) const {
  siginfo_t info{};
  const auto pid = static_cast<id_t>(processes_.at(node)->pid);
  ::waitid(P_PID, pid, &info, WEXITED | WNOWAIT | (wait ? 0 : WNOHANG));
  return info.si_pid != 0;
}

std::set<pid_t> GangWorld::processes() const {
  const std::string mark = "LEAT_TEST_GANG=" + nspace_;
  std::set<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ostringstream content;
    content << std::ifstream(entry.path() / "environ").rdbuf();
    if ((content.str() + '\0').find(mark + '\0') != std::string::npos)
      found.insert(std::stoi(name));
  }
  return found;
}

void GangWorld::wait_for_no_process() const {
  for (const pid_t pid : processes()) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) continue;
    pollfd ended{pidfd, POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, kDeadlineMs), 1) << pid;
    ::close(pidfd);
  }
}

std::string GangWorld::left_over() const {
  std::string left;
  for (const pid_t pid : processes()) {
    std::ifstream command("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    command >> name;
    left += "process " + std::to_string(pid) + " " + name + "\n";
  }
  for (const std::string& path : litter())
    if (!before_.contains(path) && !in_use(path)) left += path + "\n";
  return left;
}

std::vector<GangNode> nodes_of(NodeIndex nodes, std::uint32_t ranks) {
  std::vector<GangNode> result;
  for (NodeIndex node = 0; node < nodes; ++node) {
    result.push_back({"node" + std::to_string(node), {}});
    for (std::uint32_t i = 0; i < ranks; ++i) result.back().ranks.push_back(node * ranks + i);
  }
  return result;
}

}  // namespace leat::mpi
