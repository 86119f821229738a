#include "cli/follow.h"

#include <algorithm>

#include "cli/progress.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using WatchResponse = capnp::Response<schema::WatchResult>;

// Between two watches of a job that changes all the time: a twentieth of the time spent, so that
// the end of a short job is seen at once and a long one costs the head next to nothing.
constexpr int kPauseShare = 20;
constexpr kj::Duration kPauseMax = 100 * kj::MILLISECONDS;
constexpr std::size_t kFailuresShown = 5;

// One job being followed.
class Follower {
 public:
  Follower(Shell& shell, Head& head, const FollowOptions& options)
      : shell_(shell),
        head_(head),
        options_(options),
        timer_(shell.io.provider->getTimer()),
        start_(timer_.now()) {}

  JobView run(const TaskName& name) {
    job_ = resolve_job(head_, name, patience());
    for (;;) {
      const kj::Maybe<WatchResponse> answer = watch();
      KJ_IF_MAYBE (response, answer) {
        const schema::WatchResult::Reader result = *response;
        if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
        const JobView job = read_job(result.getChange().getJob());
        cursor_ = result.getChange().getCursor();
        show(job);
        if (job.has_ended()) return job;
      }
      pause();
    }
  }

 private:
  kj::Duration spent() const { return timer_.now() - start_; }

  // What is left of --timeout; throws when nothing is.
  kj::Maybe<kj::Duration> remaining() const {
    if (!options_.timeout) return nullptr;
    const kj::Duration left = transport::to_kj(*options_.timeout) - spent();
    if (left <= 0 * kj::SECONDS) throw_timeout();
    return left;
  }

  [[noreturn]] void throw_timeout() const {
    const std::string id = std::to_string(job_.value);
    fail(ExitCode::kTimedOut, "job " + id + " has not ended within " +
                                  definitions::show_duration(*options_.timeout) + ": leat wait " +
                                  id + " goes on waiting, leat why " + id + " says what for");
  }

  Patience patience() const {
    Patience patience{kHeadAwayMax, {}};
    if (options_.timeout) patience.limit = std::min(patience.limit, *options_.timeout);
    return patience;
  }

  // Nothing if the job has been quiet.
  kj::Maybe<WatchResponse> watch() {
    kj::Duration quiet_max = kQuietMax;
    // The first watch is answered at once, so even --timeout 0 learns of a job that has ended.
    if (cursor_ > 0) {
      KJ_IF_MAYBE (left, remaining()) quiet_max = std::min(quiet_max, *left);
    }
    kj::Maybe<WatchResponse> response = head_.ask(
        [&](schema::Scheduler::Client& head) {
          auto request = head.watchRequest();
          request.setJob(job_.value);
          request.setCursor(cursor_);
          kj::Promise<kj::Maybe<WatchResponse>> answer = request.send().then(
              [](WatchResponse&& change) -> kj::Maybe<WatchResponse> { return kj::mv(change); });
          return answer.exclusiveJoin(timer_.afterDelay(quiet_max).then(
              []() -> kj::Maybe<WatchResponse> { return nullptr; }));
        },
        patience());
    if (response == nullptr) {
      remaining();
      ask_job(head_, job_, patience());
    }
    return response;
  }

  void show(const JobView& job) {
    if (!options_.progress || !shell_.console.shows_progress()) return;
    meter_.observe(job, Duration(spent() / kj::MICROSECONDS));
    shell_.console.progress(meter_.line());
  }

  void pause() {
    kj::Duration pause = std::min(kPauseMax, spent() / kPauseShare);
    KJ_IF_MAYBE (left, remaining()) pause = std::min(pause, *left);
    timer_.afterDelay(pause).wait(shell_.io.waitScope);
  }

  Shell& shell_;
  Head& head_;
  const FollowOptions& options_;
  kj::Timer& timer_;
  kj::TimePoint start_;
  JobId job_;
  std::uint64_t cursor_ = 0;
  ProgressMeter meter_;
};

// Where to look on. What has never run has written nothing.
std::string advice(std::uint16_t outcome, const std::string& task) {
  switch (static_cast<schema::Outcome>(outcome)) {
    case schema::Outcome::COULD_NOT_START:
      return "look at the program's path, its mode and --cwd on the node";
    case schema::Outcome::DEPENDENCY_FAILED:
    case schema::Outcome::INPUT_LOST:
      return "leat why " + task;
    default:
      return "leat logs " + task + " --stderr";
  }
}

}  // namespace

JobId resolve_job(Head& head, const TaskName& name, const Patience& patience) {
  if (name.job) return *name.job;
  return JobId{ask_job(head, JobId{}, patience).id};
}

JobView ask_job(Head& head, JobId job, const Patience& patience) {
  const auto response = head.ask(
      [&job](schema::Scheduler::Client& client) {
        auto request = client.jobRequest();
        request.setJob(job.value);
        return request.send();
      },
      patience);
  const schema::JobResult::Reader result = response;
  if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
  return read_job(result.getJob());
}

JobView follow(Shell& shell, Head& head, const TaskName& name, const FollowOptions& options) {
  return Follower(shell, head, options).run(name);
}

namespace {

std::string share(std::uint64_t part, std::uint64_t total, const char* of_what) {
  return std::to_string(part) + " of " + std::to_string(total) + of_what;
}

// Of the tasks that were submitted, or of the steps of their reduce if only those have failed.
std::string what_came_of(const JobView& job) {
  const TaskCounts tasks = job.stages.empty() ? job.counts : job.stages.front();
  const std::uint64_t failed = tasks.failed + tasks.quarantined;
  if (failed > 0) return share(failed, tasks.total, " tasks failed");
  TaskCounts steps;
  for (std::size_t n = 1; n < job.stages.size(); ++n) {
    steps.total += job.stages[n].total;
    steps.failed += job.stages[n].failed + job.stages[n].quarantined;
  }
  if (steps.failed > 0)
    return share(
        steps.failed, steps.total,
        job.stage_names.empty() ? " reduce steps failed" : " tasks of later stages failed");
  return share(tasks.succeeded, tasks.total, " tasks succeeded");
}

}  // namespace

ExitCode conclude(Shell& shell, const JobView& job, bool talk) {
  if (job.has_succeeded()) {
    if (talk) shell.console.talk(closing_line(job));
    return ExitCode::kDone;
  }
  const std::size_t shown = std::min(job.failures.size(), kFailuresShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const TaskFailure& failure = job.failures[i];
    const std::string task = task_name(job.id, failure.stage, failure.index);
    std::string line = "task ";
    line.append(task).append(": ").append(describe_outcome(failure.outcome, failure.code));
    line.append(": ").append(advice(failure.outcome, task));
    shell.console.talk(line);
  }
  const std::string id = std::to_string(job.id);
  const std::string what = what_came_of(job);
  const std::string why = job.reason.empty() ? "" : " (" + job.reason + ")";
  fail(ExitCode::kWorkFailed, "job " + id + ' ' + job_state_name(job.state) + why + ", " + what +
                                  ": leat job show " + id + " tells more");
}

}  // namespace leat::cli
