#pragma once

// tree_remover.h - deletes directory trees of any shape, a little at a time.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <deque>
#include <string>

#include "base/result.h"

namespace leat::pools {

// Moves trees into a trash directory, where nobody looks for them, and empties that in the
// background. Never follows a symbolic link, and never leaves the file system: a directory within
// a tree is moved up into the trash before it is emptied, so depth costs neither stack nor
// descriptors. What cannot be deleted is left there.
//
// Borrows timer. Thread: the loop; one turn deletes at most kEntriesPerTurn entries.
class TreeRemover final : private kj::TaskSet::ErrorHandler {
 public:
  static constexpr std::size_t kEntriesPerTurn = 256;

  // `trash`: a directory of ours on the file system of all that will be removed; made if missing.
  // What an earlier life left there is deleted too.
  TreeRemover(std::string trash, kj::Timer& timer);

  // `path` is out of the way on return. Refused if it cannot be moved.
  Result<Done> remove(const std::string& path);

  // Resolves when there is nothing left to do.
  kj::Promise<void> on_idle();

 private:
  Result<Done> move_to_trash(const std::string& path);
  void start();
  kj::Promise<void> work();
  // Deletes from the tree in front, which it takes away when that is done.
  void delete_some();
  void taskFailed(kj::Exception&& exception) override;

  std::string trash_;
  kj::Timer& timer_;
  std::deque<std::string> trees_;  // directories within the trash
  std::uint64_t moved_ = 0;
  bool working_ = false;
  kj::TaskSet tasks_;  // last
};

}  // namespace leat::pools
