#include "node-agent/gang_files.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fcntl.h>
#include <kj/exception.h>
#include <linux/magic.h>
#include <netdb.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/gang_memory.h"
#include "node-agent/gang_codec.h"
#include "node-agent/task_environment.h"
#include "node-agent/topology.h"
#include "schema/gang.capnp.h"
#include "transport/secret_file.h"

namespace leat::agent {
namespace {

constexpr std::string_view kFileEnding = ".gang";
// The launcher ends its ranks before the warden's patience with it is over.
constexpr std::int64_t kHeadStartMs = 300;
// The head may be away for a while between the first member's start and the others'. Whether their
// nodes live is its business, and ends a gang within seconds.
constexpr std::uint32_t kAllThereMs = 900'000;
constexpr std::size_t kNodeNameMax = 64;
constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

bool is_memory(const char* directory) {
  struct statfs about {};
  return ::statfs(directory, &about) == 0 && about.f_type == TMPFS_MAGIC &&
         ::access(directory, W_OK | X_OK) == 0;
}

// Bound at `host`, to any port if it is 0, and not listening: others of our user may bind there,
// too.
Result<kj::AutoCloseFd> keep_port(const std::string& host, std::uint16_t& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::string name = host;
  if (name.starts_with('[')) name = name.substr(1, name.find(']') - 1);
  const std::string wanted = std::to_string(port);
  if (const int error = ::getaddrinfo(name.c_str(), wanted.c_str(), &hints, &found); error != 0)
    return invalid(host + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  kj::AutoCloseFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  auto* address = reinterpret_cast<sockaddr*>(&bound);
  if (fd.get() < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0 ||
      ::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::getsockname(fd, address, &size) != 0)
    return invalid(host + ": no port for a gang: " + std::strerror(errno));
  char text[NI_MAXSERV];
  if (::getnameinfo(address, size, nullptr, 0, text, sizeof text, NI_NUMERICSERV) != 0)
    return invalid(host + ": no port for a gang");
  port = static_cast<std::uint16_t>(std::strtoul(text, nullptr, 10));
  return fd;
}

// The job's, else the pool's. Open MPI does not look at the loopback device by itself, where nodes
// meet that are all on one host.
std::string interfaces_of(const GangSpec& gang, const GangStart& start, const std::string& host) {
  const bool one_host = host.starts_with("127.") || host == "localhost" || host == "[::1]";
  const std::string& wanted = gang.interfaces.empty() ? start.interfaces : gang.interfaces;
  return wanted.empty() && one_host ? "lo" : wanted;
}

// The hosts' names, if they tell the nodes apart.
std::vector<std::string> names_of(const std::vector<GangStart::Node>& nodes) {
  std::vector<std::string> names;
  std::set<std::string> distinct;
  for (const GangStart::Node& node : nodes) {
    names.push_back(node.host_name);
    const bool fit = !node.host_name.empty() && node.host_name.size() <= kNodeNameMax &&
                     node.host_name.find_first_not_of(kNameCharacters) == std::string::npos;
    if (fit) distinct.insert(node.host_name);
  }
  if (distinct.size() == nodes.size()) return names;
  for (std::size_t n = 0; n < nodes.size(); ++n)
    names[n] = "node-" + std::to_string(nodes[n].node.id.value);
  return names;
}

// Of an earlier life of the agent. Does nothing if there is none.
template <typename Use>
void read_file(const std::string& path, Use use) {
  const Result<std::string> content =
      transport::read_secret_file(path, schema::MAX_GANG_FILE_BYTES);
  if (!content.ok()) return;
  (void)kj::runCatchingExceptions([&] {
    auto words = kj::heapArray<capnp::word>(content.value().size() / sizeof(capnp::word));
    std::memcpy(words.begin(), content.value().data(), words.asBytes().size());
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 4 * schema::MAX_GANG_FILE_BYTES / sizeof(capnp::word);
    capnp::FlatArrayMessageReader message(words, options);
    use(message.getRoot<schema::GangFile>());
  });
}

std::optional<GangHub> hub_in(const std::string& path) {
  std::optional<GangHub> hub;
  read_file(path, [&](schema::GangFile::Reader file) {
    if (file.getNodeIndex() != 0 || file.getListenAddress().size() == 0) return;
    hub = GangHub{file.getListenAddress(), file.getAuthorityPem(), file.getCertificatePem(),
                  file.getKeyPem()};
  });
  return hub;
}

// Whole or not at all. Not synced: if the host goes down, so does the gang.
Result<Done> save(const std::string& path, capnp::MessageBuilder& message) {
  const std::string unfinished = path + ".new";
  (void)::unlink(unfinished.c_str());
  const kj::AutoCloseFd to(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (to.get() < 0) return invalid(path + ": cannot be made: " + std::strerror(errno));
  KJ_IF_MAYBE (failure,
               kj::runCatchingExceptions([&] { capnp::writeMessageToFd(to.get(), message); })) {
    return invalid(path + ": cannot be written: " + failure->getDescription().cStr());
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0)
    return invalid(path + ": cannot be made: " + std::strerror(errno));
  return Done{};
}

void write_hub(const GangHub& hub, bool is_here, schema::GangFile::Builder to) {
  to.setAuthorityPem(hub.authority_pem);
  to.setCertificatePem(hub.certificate_pem);
  to.setKeyPem(hub.key_pem);
  if (is_here)
    to.setListenAddress(hub.address);
  else
    to.setHubAddress(hub.address);
}

// Eight characters that nobody of another user knows beforehand.
std::string unknown_word() {
  std::uint32_t word = 0;
  if (::getrandom(&word, sizeof word, 0) != sizeof word) return "0";
  char text[9];
  std::snprintf(text, sizeof text, "%08x", word);
  return text;
}

// What is in `directory` under names that begin with `prefix`, unless they are among `kept`, whole
// or up to the last '-'.
void remove_all(const std::string& directory, const std::string& prefix,
                const std::set<std::string>& kept) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix) && !kept.contains(name) &&
        !kept.contains(name.substr(0, name.rfind('-'))))
      std::filesystem::remove_all(entry.path(), ignored);
  }
}

std::string variable(std::string name, const std::string& value) {
  name += '=';
  name += value;
  return name;
}

void write_words(const std::vector<std::string>& words, capnp::List<capnp::Text>::Builder to) {
  for (kj::uint i = 0; i < to.size(); ++i) to.set(i, words[i]);
}

schema::MpiMode mode_of(GangSpec::Launch launch) {
  switch (launch) {
    case GangSpec::Launch::kMpiRequired:
      return schema::MpiMode::REQUIRED;
    case GangSpec::Launch::kPmi1:
      return schema::MpiMode::PMI1;
    default:
      return schema::MpiMode::AUTOMATIC;
  }
}

void write_nodes(const GangSpec& gang, const GangStart& start, schema::GangFile::Builder to) {
  const std::vector<std::string> names = names_of(start.nodes);
  auto nodes = to.initNodes(count_of(names.size()));
  std::uint32_t next = 0;
  for (kj::uint n = 0; n < nodes.size(); ++n) {
    nodes[n].setName(names[n]);
    auto ranks = nodes[n].initRanks(gang.ranks_on(n));
    for (kj::uint i = 0; i < ranks.size(); ++i) ranks.set(i, next++);
  }
}

void write_spec(const StageSpec& spec, const MemberLaunch& launch, schema::GangFile::Builder to) {
  write_words(launch.program, to.initProgram(count_of(launch.program.size())));
  std::vector<std::string> environment;
  for (const auto& [name, value] : spec.program.environment)
    if (!set_by_leat(name)) environment.push_back(variable(name, value));
  write_words(environment, to.initEnvironment(count_of(environment.size())));
  to.setDirectory(launch.directory);
  auto cpus = to.initCpus(count_of(launch.cpus.size()));
  for (kj::uint rank = 0; rank < cpus.size(); ++rank) {
    auto list = cpus.init(rank, count_of(launch.cpus[rank].size()));
    for (kj::uint i = 0; i < list.size(); ++i)
      list.set(i, static_cast<std::uint16_t>(launch.cpus[rank][i]));
  }
  to.setNodeCpus(launch.node_cpus);
  const std::int64_t grace_ms = spec.grace.count() / 1000;
  to.setGraceMs(static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(grace_ms - kHeadStartMs, grace_ms / 2, 3'600'000)));
  to.setMpi(mode_of(spec.gang->launch));
  to.setApplication(spec.gang->launch == GangSpec::Launch::kApplication);
  write_words(spec.gang->coordination,
              to.initCoordination(count_of(spec.gang->coordination.size())));
}

}  // namespace

std::string gang_name(const RunId& run) {
  return std::to_string(run.job.value) + "." + std::to_string(run.stage) + "." +
         std::to_string(run.index) + "." + std::to_string(run.attempt);
}

GangFiles::GangFiles(GangFilesOptions options)
    : options_(std::move(options)), files_(options_.directory + "/gangs") {
  memory_ = is_memory(kSharedMemory) ? kSharedMemory : files_;
  struct stat about {};
  (void)::stat(options_.directory.c_str(), &about);
  prefix_ = gang_memory_prefix(about.st_dev, about.st_ino);
}

std::string GangFiles::file_of(const std::string& run) const {
  return files_ + "/" + run + std::string(kFileEnding);
}

// Nobody else may have made it, or know where it will be.
std::string GangFiles::new_private_directory(const std::string& run) const {
  return memory_ + "/" + prefix_ + run + "-" + unknown_word();
}

Result<Done> GangFiles::begin(const RunId& run, const GangStart& start) {
  const auto [at, fresh] = members_.try_emplace(run);
  Member& member = at->second;
  if (!fresh) return Done{};
  member.start = start;
  member.hub = start.hub;
  if (start.nodes.size() == 1 || start.member > 0) return Done{};
  const Result<Done> opened = open_hub(gang_name(run), member);
  if (!opened.ok()) member.refusal = opened.refusal();
  return opened;
}

// Said to others, it must be there for the next life of the agent: it is on disk before.
Result<Done> GangFiles::open_hub(const std::string& run, Member& member) {
  if (auto told = told_.extract(run); !told.empty()) {
    const std::string& address = told.mapped().address;
    auto port =
        static_cast<std::uint16_t>(std::strtoul(&address[address.rfind(':') + 1], nullptr, 10));
    Result<kj::AutoCloseFd> kept = keep_port(options_.host, port);
    if (kept.ok() && address == options_.host + ":" + std::to_string(port)) {
      member.port = std::move(kept).value();
      member.hub = std::move(told.mapped());
    }
  }
  if (!member.hub) {
    std::uint16_t port = 0;
    Result<kj::AutoCloseFd> kept = keep_port(options_.host, port);
    if (!kept.ok()) return kept.refusal();
    member.port = std::move(kept).value();
    const auto authority = transport::ClusterAuthority::make(options_.cluster_id, options_.now());
    transport::Credentials all = authority.issue(
        {.kind = transport::Peer::Kind::kAgent, .node = options_.node, .uid = 0}, options_.now());
    member.hub = GangHub{options_.host + ":" + std::to_string(port), std::move(all.authority_pem),
                         std::move(all.certificate_pem), std::move(all.key_pem)};
  }
  const Result<Done> made = transport::ensure_private_directory(files_);
  if (!made.ok()) return made;
  capnp::MallocMessageBuilder message;
  write_hub(*member.hub, true, message.initRoot<schema::GangFile>());
  return save(file_of(run), message);
}

std::optional<GangHub> GangFiles::hub_of(const RunId& run) {
  if (const auto at = members_.find(run); at != members_.end())
    return at->second.start.member == 0 ? at->second.hub : std::nullopt;
  return hub_in(file_of(gang_name(run)));
}

std::optional<std::uint32_t> GangFiles::member_of(const RunId& run) {
  if (const auto at = members_.find(run); at != members_.end()) return at->second.start.member;
  std::optional<std::uint32_t> member;
  read_file(file_of(gang_name(run)),
            [&](schema::GangFile::Reader file) { member = file.getNodeIndex(); });
  return member;
}

Result<std::string> GangFiles::write(const RunId& run, const StageSpec& spec,
                                     const MemberLaunch& launch) {
  const auto at = members_.find(run);
  LEAT_CHECK(at != members_.end() && spec.gang.has_value());
  Member& member = at->second;
  if (member.refusal) return *member.refusal;
  const std::size_t lists = spec.gang->ranks_per_node.size();
  if (lists > 1 && lists != member.start.nodes.size())
    return invalid("a gang whose list of ranks does not fit its nodes");
  capnp::MallocMessageBuilder message;
  auto file = message.initRoot<schema::GangFile>();
  const std::string name = gang_name(run);
  file.setVersion(schema::GANG_VERSION);
  file.setNamespace("leat-" + options_.cluster_id + "-" + name);
  file.setAttempt(run.attempt);
  file.setNodeIndex(member.start.member);
  write_nodes(*spec.gang, member.start, file);
  write_spec(spec, launch, file);
  if (member.private_directory.empty()) member.private_directory = new_private_directory(name);
  file.setPrivateDirectory(member.private_directory);
  file.setRegisteredMs(kAllThereMs);
  file.setInterfaces(interfaces_of(*spec.gang, member.start, options_.host));
  if (member.hub) write_hub(*member.hub, member.start.member == 0, file);
  const Result<Done> made = transport::ensure_private_directory(files_);
  if (!made.ok()) return made.refusal();
  file.setTopology(topology());
  const std::string path = file_of(name);
  const Result<Done> saved = save(path, message);
  if (!saved.ok()) return saved.refusal();
  return path;
}

const std::string& GangFiles::topology() {
  if (!topology_) {
    const std::string path = options_.directory + "/topology.xml";
    topology_ = save_machine(path).ok() ? path : "";
  }
  return *topology_;
}

std::size_t GangFiles::ranks_here(const RunId& run, const GangSpec& gang) const {
  const std::size_t lists = gang.ranks_per_node.size();
  const std::uint32_t member = members_.at(run).start.member;
  return lists > 1 && member >= lists ? 0 : gang.ranks_on(member);
}

void GangFiles::drop(const RunId& run) {
  const std::string name = gang_name(run);
  std::error_code ignored;
  std::filesystem::remove(file_of(name), ignored);
  told_.erase(name);
  const auto member = members_.extract(run);
  if (!member.empty() && !member.mapped().private_directory.empty())
    std::filesystem::remove_all(member.mapped().private_directory, ignored);
  else  // perhaps of an earlier life, which alone knew it whole
    remove_all(memory_, prefix_ + name + "-", {});
}

void GangFiles::keep_only(std::span<const RunId> runs) {
  std::set<std::string> kept;
  for (const RunId& run : runs) {
    kept.insert(gang_name(run) + std::string(kFileEnding));
    kept.insert(prefix_ + gang_name(run));
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(files_, ignored)) {
    const std::string file = entry.path().filename();
    if (kept.contains(file) || !file.ends_with(kFileEnding)) continue;
    // The head may send it again.
    if (std::optional<GangHub> hub = hub_in(entry.path()))
      told_.insert_or_assign(file.substr(0, file.size() - kFileEnding.size()), *hub);
  }
  remove_all(files_, "", kept);
  remove_all(memory_, prefix_, kept);
}

}  // namespace leat::agent
