#include "node-agent/scratch.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace leat::agent {
namespace {

// What cannot be looked into is not empty.
bool is_empty(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return false;
  int entries = 0;
  while (entries < 3 && ::readdir(directory) != nullptr) ++entries;
  ::closedir(directory);
  return entries < 3;  // itself and the one above
}

bool make(const std::string& path) {
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST;
}

}  // namespace

Scratch::Scratch(const std::string& node_directory)
    : root_(node_directory + "/scratch"), trash_((make(root_), root_ + "/old")) {}

std::string Scratch::prepare(const RunId& run, Slot slot, bool own_directory) {
  if (own_directory) {
    const std::string job = root_ + "/job-" + std::to_string(run.job.value);
    const std::string path = job + "/" + std::to_string(run.stage) + "." +
                             std::to_string(run.index) + "." + std::to_string(run.attempt);
    return make(job) && make(path) ? path : std::string();
  }
  const std::string path = root_ + "/slot-" + std::to_string(slot);
  if (made_.insert(slot).second && ::mkdir(path.c_str(), 0700) == 0) return path;
  if (!is_empty(path)) {
    if (!trash_.take(path) || ::mkdir(path.c_str(), 0700) != 0) return {};
  }
  return path;
}

std::string Scratch::checkpoint_directory(const RunId& run, const std::string& own) const {
  const std::string job = std::to_string(run.job.value);
  const std::string task = std::to_string(run.stage) + "." + std::to_string(run.index);
  return own.empty() ? root_ + "/checkpoints-" + job + "/" + task : own + "/" + job + "." + task;
}

void Scratch::forget(JobId job) {
  trash_.take(root_ + "/checkpoints-" + std::to_string(job.value));
  trash_.take(root_ + "/job-" + std::to_string(job.value));
}

}  // namespace leat::agent
