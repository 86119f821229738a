#include "cli/job_stages.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cli/job_options.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using definitions::JobDefinition;
using definitions::StageDefinition;
using definitions::Word;

// The place of the stage of this name among those before `end`; check_stages() has found it there.
std::size_t place_of(const JobDefinition& job, const Word& name, std::size_t end) {
  for (std::size_t n = 0; n < end; ++n)
    if (job.stages[n].name.text == name.text) return n;
  LEAT_CHECK(!"a name that was checked");
  return 0;
}

schema::After::Condition condition_of(const Word& word) {
  if (word.text == "failure") return schema::After::Condition::FAILURE;
  if (word.text == "any") return schema::After::Condition::ANY;
  return schema::After::Condition::SUCCESS;
}

StageRequest read_stage(const JobDefinition& job, std::size_t n, const Surroundings& surroundings) {
  const StageDefinition& said = job.stages[n];
  if (said.said.command.empty())
    fail(ExitCode::kUsage, said.where + " names no program: write command = [\"PROGRAM\"]");
  const JobDefinition whole = stage_of(job, n);
  StageRequest stage;
  stage.work = read_job_request(whole, surroundings);
  stage.name = said.name.text;
  stage.result = said.result;
  for (const definitions::StageAfter& after : said.after)
    stage.after.push_back({place_of(job, after.stage, n), after.each, condition_of(after.on)});
  if (!said.reduces.text.empty()) {
    stage.reduces = place_of(job, said.reduces, n);
    // As of any reduce step: what it reads is kept.
    if (whole.find("retries") == nullptr) stage.work.retries = kReduceRetries;
  }
  if (!said.width.text.empty())
    stage.width =
        value_or_fail(definitions::parse_number(said.width.text, kReduceWidthMin, kTasksPerJobMax),
                      said.width.where + ' ');
  // Those that come after others come after what these come after.
  if (stage.reduces || !stage.after.empty()) stage.work.after.clear();
  if (n > 0) stage.work.start_within = Duration(0);
  return stage;
}

}  // namespace

JobRequest read_staged_request(const JobDefinition& job, const Surroundings& surroundings) {
  if (const auto refusal = check_stages(job)) fail(ExitCode::kUsage, refusal->message);
  JobRequest request;
  for (std::size_t n = 0; n < job.stages.size(); ++n)
    request.stages.push_back(read_stage(job, n, surroundings));
  const JobRequest& first = request.stages.front().work;
  request.name = first.name;
  request.pools = first.pools;
  request.labels = first.labels;
  request.exclusive = first.exclusive;
  request.placement = first.placement;
  request.priority = first.priority;
  return request;
}

}  // namespace leat::cli
