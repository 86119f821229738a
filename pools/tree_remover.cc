#include "pools/tree_remover.h"

#include <dirent.h>
#include <fcntl.h>
#include <kj/debug.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace leat::pools {
namespace {

// Names to try for a tree: a few may be taken by what an earlier life left.
constexpr int kNamesMax = 10'000;
constexpr kj::Duration kPause = 1 * kj::MILLISECONDS;

bool is_dots(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

// Up to `count` names in the directory, whatever they are.
std::vector<std::string> some_names(const std::string& path, std::size_t count) {
  std::vector<std::string> names;
  // A task may have taken away its own right to read or change the directory.
  ::chmod(path.c_str(), 0700);
  DIR* const entries = ::opendir(path.c_str());
  if (entries == nullptr) return names;
  while (names.size() < count) {
    const struct dirent* const entry = ::readdir(entries);
    if (entry == nullptr) break;
    if (!is_dots(entry->d_name)) names.emplace_back(entry->d_name);
  }
  ::closedir(entries);
  return names;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

TreeRemover::TreeRemover(std::string trash, kj::Timer& timer)
    : trash_(std::move(trash)), timer_(timer), tasks_(*this) {
  ::mkdir(trash_.c_str(), 0700);
  for (const std::string& name : some_names(trash_, ~std::size_t{0}))
    trees_.push_back(trash_ + "/" + name);
  start();
}

Result<Done> TreeRemover::remove(const std::string& path) {
  const Result<Done> moved = move_to_trash(path);
  if (moved.ok()) start();
  return moved;
}

Result<Done> TreeRemover::move_to_trash(const std::string& path) {
  int error = 0;
  for (int tries = 0; tries < kNamesMax; ++tries) {
    const std::string name = trash_ + "/" + std::to_string(++moved_);
    struct stat status {};
    if (::lstat(name.c_str(), &status) == 0) continue;
    // The owner's right to write into a directory is needed to move it elsewhere.
    if (is_directory(path)) ::chmod(path.c_str(), 0700);
    if (::rename(path.c_str(), name.c_str()) == 0) {
      trees_.push_back(name);
      return Done{};
    }
    error = errno;
    break;
  }
  return invalid("cannot remove " + path + ": " + std::strerror(error));
}

void TreeRemover::start() {
  if (working_ || trees_.empty()) return;
  working_ = true;
  tasks_.add(work());
}

kj::Promise<void> TreeRemover::work() {
  if (trees_.empty()) {
    working_ = false;
    return kj::READY_NOW;
  }
  delete_some();
  return timer_.afterDelay(kPause).then([this] { return work(); });
}

void TreeRemover::delete_some() {
  const std::string tree = trees_.front();
  if (!is_directory(tree)) {
    ::unlink(tree.c_str());
    trees_.pop_front();
    return;
  }
  const std::vector<std::string> names = some_names(tree, kEntriesPerTurn);
  std::size_t gone = 0;
  for (const std::string& name : names) {
    std::string path = tree;
    path.append("/").append(name);
    // Inside a tree everything is ours to empty: directories join the queue.
    const bool taken = is_directory(path) ? move_to_trash(path).ok() : ::unlink(path.c_str()) == 0;
    if (taken) ++gone;
  }
  if (!names.empty() && gone > 0) return;
  if (::rmdir(tree.c_str()) != 0)
    KJ_LOG(WARNING, "left behind", tree.c_str(), std::strerror(errno));
  trees_.pop_front();
}

kj::Promise<void> TreeRemover::on_idle() {
  return tasks_.onEmpty();
}

void TreeRemover::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, exception);
}

}  // namespace leat::pools
