// job.cc - `leat job list`, `leat job show`: what became of what was asked.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "cli/render.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

constexpr std::uint64_t kJobsListed = 1000;

class JobList final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--limit", "N", limit_, "at most N jobs, the newest (default and most: 1000)");
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    std::uint64_t limit = kJobsListed;
    if (limit_)
      limit = value_or_fail(definitions::parse_number(*limit_, 1, kJobsListed), "--limit ");
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const auto answer = head.ask([limit](schema::Scheduler::Client& client) {
      auto call = client.jobsRequest();
      call.setLimit(static_cast<std::uint32_t>(limit));
      return call.send();
    });
    Value::List rows;
    for (const schema::JobSummary::Reader job : answer.getJobs())
      rows.push_back(job_row(read_job(job), shell.surroundings.wall_us()));
    shell.console.out(json_ ? json_document({{"jobs", std::move(rows)}}) : table(rows));
    return ExitCode::kDone;
  }

 private:
  static std::string table(const Value::List& rows) {
    return render_table({{"id", "JOB", Form::kNumber},
                         {"name", "NAME"},
                         {"state", "STATE"},
                         {"counts.total", "TASKS", Form::kNumber},
                         {"done", "DONE", Form::kNumber},
                         {"counts.failed", "FAILED", Form::kNumber},
                         {"counts.running", "RUNNING", Form::kNumber},
                         {"elapsed_us", "ELAPSED", Form::kDuration},
                         {"submitted_us", "SUBMITTED", Form::kTime}},
                        rows);
  }

  std::optional<std::string> limit_;
  bool json_ = false;
};

class JobShow final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB", job_, "the job's number, or last");
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_job(*job_));
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobView job = ask_job(head, name.job.value_or(JobId{}));
    Value::Object row = job_row(job, shell.surroundings.wall_us());
    row.push_back({"progress", progress_rows(job)});
    shell.console.out(json_ ? json_document(row) : page(row));
    return ExitCode::kDone;
  }

 private:
  static std::string page(const Value& row) {
    std::string page = render_fields({{"id", "Job", Form::kText},
                                      {"name", "Name"},
                                      {"state", "State"},
                                      {"owner.uid", "User id"},
                                      {"priority", "Priority"},
                                      {"submitted_us", "Submitted", Form::kTime},
                                      {"started_us", "Started", Form::kTime},
                                      {"ended_us", "Ended", Form::kTime},
                                      {"elapsed_us", "Elapsed", Form::kDuration},
                                      {"reason", "Reason"},
                                      {"skipped_for", "Skipped for job"},
                                      {"retry_of", "Retry of job"},
                                      {"held_us", "Held since", Form::kTime},
                                      {"held_by_uid", "Held by user id"},
                                      {"retried", "Tried again"},
                                      {"lost", "Runs lost"},
                                      {"has_result", "Result"},
                                      {"result_bytes", "Result size", Form::kBytes}},
                                     row);
    const auto& stages = std::get<Value::List>(row.at("stages").kind());
    page += '\n' + render_stages(stages);
    const auto& progress = std::get<Value::List>(row.at("progress").kind());
    if (!progress.empty())
      page += '\n' + render_table({{"task", "RUNNING TASK"},
                                   {"percent", "PERCENT", Form::kNumber},
                                   {"message", "MESSAGE"}},
                                  progress);
    const auto& failures = std::get<Value::List>(row.at("failures").kind());
    if (failures.empty()) return page;
    return page + '\n' +
           render_table(
               {{"task", "FAILED TASK"}, {"node", "NODE", Form::kNumber}, {"message", "WHY"}},
               failures);
  }

  static std::string render_stages(const Value::List& stages) {
    Value::List numbered;
    bool named = false;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      numbered.push_back(Value::Object{{"stage", std::uint64_t{i}}, {"counts", stages[i]}});
      named = named || std::holds_alternative<std::string>(stages[i].at("name").kind());
    }
    std::vector<Column> columns{{"stage", "STAGE", Form::kNumber}};
    if (named) columns.push_back({"counts.name", "NAME"});
    columns.insert(columns.end(), {{"counts.total", "TASKS", Form::kNumber},
                                   {"counts.waiting", "WAITING", Form::kNumber},
                                   {"counts.running", "RUNNING", Form::kNumber},
                                   {"counts.held", "HELD", Form::kNumber},
                                   {"counts.succeeded", "SUCCEEDED", Form::kNumber},
                                   {"counts.failed", "FAILED", Form::kNumber},
                                   {"counts.cancelled", "CANCELLED", Form::kNumber},
                                   {"counts.quarantined", "QUARANTINED", Form::kNumber},
                                   {"counts.skipped", "SKIPPED", Form::kNumber}});
    return render_table(columns, numbered);
  }

  std::optional<std::string> job_;
  bool json_ = false;
};

constexpr std::string_view kJobListDetails =
    R"(The newest jobs first.

  leat job list --limit 20)";

constexpr std::string_view kJobShowDetails =
    R"(One job: its state, the counts of its tasks by stage, how far running tasks say that
they are, and its first failures.

  leat job show last
  leat job show 17 --json)";

}  // namespace

const CommandEntry kJobList{"job list", "list the newest jobs", kJobListDetails,
                            build_command<JobList>};
const CommandEntry kJobShow{"job show", "show one job", kJobShowDetails, build_command<JobShow>};

}  // namespace leat::cli
