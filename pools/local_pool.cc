#include "pools/local_pool.h"

#include <dirent.h>
#include <kj/debug.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "pools/local_node.h"

namespace leat::pools {
namespace {

Result<Done> ensure_private(const std::string& path) {
  struct stat status {};
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return invalid(path + ": " + std::strerror(errno));
  if (::lstat(path.c_str(), &status) != 0) return invalid(path + ": " + std::strerror(errno));
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
    return invalid(path + ": must be a directory of ours with mode 0700");
  return Done{};
}

}  // namespace

Result<kj::Own<LocalPool>> LocalPool::open(kj::UnixEventPort& port, kj::Timer& timer,
                                           LocalPoolOptions options) {
  LEAT_CHECK(options.nodes_directory.starts_with('/'));
  const Result<Done> made = ensure_private(options.nodes_directory);
  if (!made.ok()) return made.refusal();
  const int raw = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (raw < 0) return invalid(std::string("cannot watch directories: ") + std::strerror(errno));
  auto pool = kj::heap<LocalPool>(port, timer, kj::mv(options), kj::AutoCloseFd(raw));
  const Result<Done> scanned = pool->scan();
  if (!scanned.ok()) return scanned.refusal();
  pool->sweep_unfinished();
  for (const auto& [ref, node] : std::map(pool->nodes_)) pool->review(node);
  return kj::mv(pool);
}

LocalPool::LocalPool(kj::UnixEventPort& port, kj::Timer& timer, LocalPoolOptions options,
                     kj::AutoCloseFd inotify)
    : port_(port),
      timer_(timer),
      options_(kj::mv(options)),
      boot_id_(current_boot_id()),
      remover_(options_.nodes_directory + "/.trash", timer),
      inotify_(kj::mv(inotify)),
      inotify_observer_(port, inotify_.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ),
      tasks_(*this) {
  tasks_.add(watch_directories());
}

LocalPool::~LocalPool() noexcept(false) {}

// --- finding nodes --------------------------------------------------------------------------

Result<Done> LocalPool::scan() {
  DIR* const entries = ::opendir(options_.nodes_directory.c_str());
  if (entries == nullptr)
    return Refusal{Reason::kDisconnected,
                   "cannot list " + options_.nodes_directory + ": " + std::strerror(errno)};
  std::vector<NodeRef> found;
  errno = 0;
  while (const struct dirent* const entry = ::readdir(entries)) {
    const std::optional<NodeRef> ref = parse_directory_name(entry->d_name);
    if (ref.has_value()) found.push_back(*ref);
    errno = 0;
  }
  const int error = errno;
  ::closedir(entries);
  if (error != 0)
    return Refusal{Reason::kDisconnected,
                   "cannot list " + options_.nodes_directory + ": " + std::strerror(error)};
  for (const NodeRef& ref : found) {
    if (nodes_.contains(ref)) continue;
    const Result<NodePointer> node = adopt(ref);
    if (!node.ok()) return Refusal{Reason::kDisconnected, node.refusal().message};
  }
  return Done{};
}

// Directories that an earlier life was still making: nothing ever ran there.
void LocalPool::sweep_unfinished() {
  DIR* const entries = ::opendir(options_.nodes_directory.c_str());
  if (entries == nullptr) return;
  std::vector<std::string> unfinished;
  while (const struct dirent* const entry = ::readdir(entries))
    if (std::string_view(entry->d_name).starts_with(kUnfinishedPrefix))
      unfinished.push_back(options_.nodes_directory + "/" + entry->d_name);
  ::closedir(entries);
  for (const std::string& path : unfinished) (void)remover_.remove(path).ok();
}

Result<LocalPool::NodePointer> LocalPool::adopt(NodeRef ref) {
  const auto node = std::make_shared<Node>();
  node->ref = ref;
  node->directory = options_.nodes_directory + "/" + directory_name(ref);
  const Result<std::string> text = read_node_file(node->directory + "/agent.json");
  if (!text.ok() && text.refusal().reason != Reason::kNotFound) return text.refusal();
  if (text.ok()) {
    node->cores = cores_in_node_file(text.value());
    node->gpus = gpus_in_node_file(text.value());
    node->mock = mock_in_node_file(text.value());
  }
  const Result<std::optional<ProcessStamp>> agent = read_stamp(node->directory + "/agent.pid");
  // Whether that process lives cannot be told, so nothing is.
  if (!agent.ok()) return agent.refusal();
  if (agent.value().has_value()) {
    node->agent = Process::find(port_, *agent.value(), boot_id_);
    node->boot_is_over = agent.value()->boot_id != boot_id_;
  }
  const int watch =
      ::inotify_add_watch(inotify_.get(), node->directory.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE);
  if (watch >= 0) {
    node->watch = watch;
    watches_[watch] = ref;
  }
  nodes_[ref] = node;
  if (node->agent != nullptr) watch_agent(node);
  return node;
}

Result<LocalPool::NodePointer> LocalPool::find(NodeRef ref) {
  const auto known = nodes_.find(ref);
  if (known != nodes_.end()) return known->second;
  struct stat status {};
  const std::string path = options_.nodes_directory + "/" + directory_name(ref);
  if (::lstat(path.c_str(), &status) == 0) return adopt(ref);
  if (errno == ENOENT) return NodePointer();
  return Refusal{Reason::kDisconnected, path + ": " + std::strerror(errno)};
}

kj::Promise<Result<std::vector<Instance>>> LocalPool::list() {
  using Answer = Result<std::vector<Instance>>;
  const Result<Done> scanned = scan();
  if (!scanned.ok()) return Answer(scanned.refusal());
  std::vector<Instance> instances;
  for (const auto& [ref, node] : nodes_) {
    review(node);
    instances.push_back(instance_of(*node));
  }
  return Answer(std::move(instances));
}

// --- making nodes ---------------------------------------------------------------------------

std::optional<CoreShare> LocalPool::free_cores(std::uint32_t millicores) const {
  if (millicores == 0 || millicores % 1000 != 0) return std::nullopt;
  const std::uint32_t count = millicores / 1000;
  for (std::uint32_t first = 0; first + count <= options_.machine_cores; first += count) {
    const bool taken = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& entry) {
      const std::optional<CoreShare>& cores = entry.second->cores;
      return cores.has_value() && entry.second->state != InstanceState::kGone &&
             cores->first < first + count && first < cores->first + cores->count;
    });
    if (!taken) return CoreShare{first, count};
  }
  return std::nullopt;
}

// The lowest that no other node has. How many the machine has, its agents find out.
GpuShare LocalPool::free_gpus(std::uint32_t count) const {
  GpuShare share{0, count};
  bool moved = count > 0;
  while (moved) {
    moved = false;
    for (const auto& [ref, node] : nodes_) {
      const GpuShare& other = node->gpus;
      if (node->state == InstanceState::kGone || other.count == 0) continue;
      if (other.first >= share.first + count || share.first >= other.first + other.count) continue;
      share.first = other.first + other.count;
      moved = true;
    }
  }
  return share;
}

kj::Promise<Result<Done>> LocalPool::create(NodeOrder order) {
  const Result<NodePointer> known = find(order.node);
  if (!known.ok()) return Result<Done>(known.refusal());
  NodePointer node = known.value();
  if (node != nullptr) {
    review(node);
    const Result<Done> repeated = repeat_create(*node, order);
    if (!repeated.ok()) return repeated;
  } else {
    const MachineShare share{free_cores(order.millicores), free_gpus(order.gpus.value_or(0))};
    const Result<Done> made = make_node_directory(
        options_.nodes_directory, order, node_file_text(order, share, options_.warden_program));
    if (!made.ok()) return made;
    const Result<NodePointer> adopted = adopt(order.node);
    if (!adopted.ok()) return Result<Done>(adopted.refusal());
    node = adopted.value();
  }
  const Result<Done> looked = find_warden(node);
  if (!looked.ok() || node->agent != nullptr || node->warden != nullptr || node->restart_planned)
    return looked;
  const Result<Done> started = start_agent(node);
  if (!started.ok()) {
    // Nothing runs, so nothing needs to be known of it.
    clear_away(*node);
    nodes_.erase(order.node);
  }
  return started;
}

Result<Done> LocalPool::repeat_create(Node& node, const NodeOrder& order) {
  if (node.state == InstanceState::kGone || node.ending)
    return Refusal{Reason::kConflict, "node " + directory_name(node.ref) + " is gone"};
  const std::string token = node.directory + "/join.token";
  struct stat status {};
  if (::lstat(token.c_str(), &status) == 0) {
    const Result<Done> replaced = replace_node_file(token, order.token);
    if (!replaced.ok()) return replaced;
  }
  return set_head_address(node.directory, order.agent_address);
}

void LocalPool::head_moved(const std::string& agent_address) {
  for (const auto& [ref, node] : nodes_) {
    if (node->state == InstanceState::kGone) continue;
    const Result<Done> told = set_head_address(node->directory, agent_address);
    if (!told.ok()) KJ_LOG(ERROR, "cannot tell a node where the head is", told.refusal().message);
  }
}

// --- telling --------------------------------------------------------------------------------

Instance LocalPool::instance_of(const Node& node) {
  Instance instance;
  instance.node = node.ref;
  instance.state = node.state;
  if (node.agent != nullptr) instance.agent_pid = node.agent->pid();
  if (node.warden != nullptr) instance.warden_pid = node.warden->pid();
  return instance;
}

void LocalPool::tell(const Node& node, const std::string& proof) {
  if (changes_.size() >= kChangesMax) changes_.erase(changes_.begin());
  changes_.push_back({instance_of(node), proof});
  KJ_IF_MAYBE (wanted, changes_wanted_) {
    (*wanted)->fulfill();
    changes_wanted_ = nullptr;
  }
}

kj::Promise<std::vector<InstanceChange>> LocalPool::changes() {
  if (!changes_.empty()) return std::exchange(changes_, {});
  auto promise = kj::newPromiseAndFulfiller<void>();
  changes_wanted_ = kj::mv(promise.fulfiller);
  return promise.promise.then([this] { return std::exchange(changes_, {}); });
}

void LocalPool::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, exception);
}

}  // namespace leat::pools
