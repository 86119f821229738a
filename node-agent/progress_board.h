#pragma once

// progress_board.h - what tasks tell of themselves: the newest word of each, and which are news.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace leat::agent {

struct TaskProgress {
  RunId run;
  std::uint16_t permille = 0;
  std::string message;  // UTF-8 without control characters

  friend bool operator==(const TaskProgress&, const TaskProgress&) = default;
};

// Longer ones are cut off by the kernel, and not understood.
inline constexpr std::size_t kProgressRecordMax = 1024;
inline constexpr std::size_t kProgressMessageMax = 512;

// "1 JOB.STAGE.INDEX.ATTEMPT PERMILLE MESSAGE" (docs/sdk.md), from a program that nobody knows.
// What is no text in the message is replaced, what is too long cut; anything else wrong: nothing.
std::optional<TaskProgress> parse_progress(std::string_view record);

// Pure. Thread: one.
class ProgressBoard {
 public:
  // Runs whose word is kept: as many as can run at once.
  static constexpr std::size_t kRunsMax = 4096;
  static constexpr std::size_t kToldAtOnce = 256;

  // Replaces what the run said before. False: there are too many runs already.
  bool take(TaskProgress word);
  void keep_only(const std::function<bool(const RunId&)>& wanted);

  // The next to tell, at most kToldAtOnce, which are no news from now on. Who has waited longest
  // comes first, so that nobody is overtaken for ever by those who tell a lot.
  std::vector<TaskProgress> news();
  bool has_news() const { return !news_.empty(); }
  // A new head knows nothing.
  void all_is_news();

  std::size_t size() const { return words_.size(); }

 private:
  struct Word {
    TaskProgress told;
    std::optional<std::list<RunId>::iterator> place;  // in news_
  };

  std::map<RunId, Word> words_;
  std::list<RunId> news_;
};

}  // namespace leat::agent
