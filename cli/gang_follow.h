#pragma once

// gang_follow.h - what all members of a gang write, as it comes.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "cli/task_output.h"
#include "spool/rank_frames.h"

namespace leat::cli {

// A connection each: more would not fit into the descriptors a process usually has.
inline constexpr std::uint32_t kFollowedMembersMax = 512;

// Reads the streams of all members at once and takes them apart. Borrows the shell and the head.
class GangFollow {
 public:
  using OnRecord =
      std::function<void(std::uint32_t member, std::uint32_t frame, std::string_view content)>;

  // Throws Failure (kUsage) if there are too many.
  GangFollow(Shell& shell, Head& head, const OutputWanted& wanted, std::uint32_t members,
             OnRecord on_record);
  ~GangFollow();
  GangFollow(const GangFollow&) = delete;
  GangFollow& operator=(const GangFollow&) = delete;

  // Until all members have ended. If the gang is started again, from its beginning. Throws Failure
  // as TaskOutputs::read() does; a member whose output is lost is told of, and the others go on.
  OutputFound run();

  bool has_lost_some() const { return lost_some_; }

 private:
  struct Member;

  // Takes apart what a member writes from now on.
  spool::RankFrameReader reader_of(std::uint32_t member) const;
  void step(Member& member);
  void find(Member& member);
  void take(Member& member);
  void ask(Member& member);
  void go_away(Member& member);
  void start_over(const Member& but);

  Shell& shell_;
  JobChanges changes_;
  OutputWanted wanted_;
  OnRecord on_record_;
  std::uint32_t attempt_ = 0;  // of which all members are read
  bool cut_ = false;
  bool lost_some_ = false;
  kj::Own<kj::PromiseFulfiller<void>> news_;
  std::vector<std::unique_ptr<Member>> members_;  // last: their promises use the rest
};

}  // namespace leat::cli
