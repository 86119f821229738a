#pragma once

// follow.h - with a job until it ends, whatever happens to the head meanwhile.

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "cli/head.h"
#include "cli/job_view.h"
#include "cli/task_name.h"

namespace leat::cli {

// Without --timeout, a head that is away is waited for this long.
inline constexpr Duration kHeadAwayMax = std::chrono::minutes(10);

struct FollowOptions {
  std::optional<Duration> timeout;
  bool progress = false;  // one line, rewritten if there is a terminal
};

// The id that was meant; "last" is asked for.
JobId resolve_job(Head& head, const TaskName& name, const Patience& patience = {});

JobView ask_job(Head& head, JobId job, const Patience& patience = {});

// Returns the job when it has ended. Throws Failure: kTimedOut, kUnreachable, kUsage for a job
// that does not exist.
JobView follow(Shell& shell, Head& head, const TaskName& name, const FollowOptions& options);

// Says how it ended and names the first failures with what to do. kDone, or throws Failure with
// kWorkFailed.
ExitCode conclude(Shell& shell, const JobView& job, bool talk);

}  // namespace leat::cli
