#pragma once

// trash.h - removes directory trees a little at a time.

#include <cstddef>
#include <string>
#include <vector>

namespace leat::agent {

// What is thrown away is moved aside at once, by a rename, and removed in steps: a task may have
// left a million files, and the loop must not wait for them. Never follows a link.
//
// Owns the directory given to it. Thread: any one; calls block on a local file system.
class Trash {
 public:
  // Entries removed in one step.
  static constexpr std::size_t kStep = 256;

  // `directory` is made if need be; what a former life left in it is removed, too.
  explicit Trash(std::string directory);

  // Moves `path`, on the same file system, out of the way. False if it could not be moved.
  bool take(const std::string& path);
  // False when there is nothing left to do.
  bool step();
  bool empty() const { return waiting_.empty(); }

 private:
  std::string directory_;
  std::size_t next_ = 0;
  std::vector<std::string> waiting_;  // directories, each below the one before or beside it
};

}  // namespace leat::agent
