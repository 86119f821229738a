#pragma once

// job_request.h - what submit was asked for, as the job the head is given.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/index_list.h"
#include "base/resources.h"
#include "base/time.h"
#include "schema/types.capnp.h"
#include "transport/blob_client.h"

namespace leat::cli {

inline constexpr std::uint64_t kReduceWidthMin = 2;
// A reduce program is ours to try again as often as is cheap: its input is kept.
inline constexpr std::uint32_t kReduceRetries = 3;
// A description larger than this would not fit the head's limit on messages.
inline constexpr std::uint64_t kJobWordsMax = 1024 * 1024 - 1024;

struct ReduceRequest {
  std::vector<std::string> argv;
  std::optional<std::uint64_t> width;  // none: one step takes all outputs
};

// Lines that have been uploaded.
struct LinesRequest {
  transport::Blob data;
  transport::Blob offsets;
  std::uint64_t chunk = 1;
  std::uint64_t lines = 0;
  schema::Inputs::Lines::Use use = schema::Inputs::Lines::Use::STREAM;
};

// The file whose lines become tasks, before it is uploaded.
struct LinesSource {
  std::string path;  // "-": standard input
  std::uint64_t chunk = 1;
};

// What a job comes after. No job: the caller's newest, which the head is asked for.
struct AfterRequest {
  std::optional<JobId> job;
  bool element_wise = false;
  schema::After::Condition on = schema::After::Condition::SUCCESS;
};

struct RetryDelayRequest {
  Duration first{0};
  std::uint32_t factor_milli = 1000;
  Duration max{0};  // 0: as long as the head allows
};

struct RetryOnRequest {
  std::vector<std::uint8_t> codes;
  std::vector<std::uint8_t> signals;
  std::vector<schema::Outcome> outcomes;
};

struct WarningRequest {
  std::uint8_t signal = 0;
  Duration before{0};
};

// What a gang runs: schema GangSpec, and on how many nodes.
struct GangRequest {
  std::uint32_t nodes = 1;
  schema::GangSpec::Launch launch = schema::GangSpec::Launch::MPI;
  std::vector<std::uint32_t> ranks_per_node;  // one for each node, or one for all; none: 1
  std::uint32_t cores_per_rank = 1;           // 0: what is on the node, shared alike
  schema::GangSpec::Bind bind = schema::GangSpec::Bind::COMPACT;
  schema::GangSpec::BindTo bind_to = schema::GangSpec::BindTo::CORE;
  std::vector<std::string> coordination;  // argv; empty: none
  std::string interfaces;
};

struct StageRequest;

struct JobRequest {
  std::string name;
  std::vector<std::string> argv;
  IndexList indices;
  // What makes tasks, before it is uploaded: one of these at most.
  std::optional<LinesSource> each_line;
  std::optional<std::string> from_json;  // a file
  std::vector<std::string> each_file;    // names, absolute
  std::optional<LinesRequest> lines;
  std::optional<std::string> stdin_file;
  std::optional<transport::Blob> standard_input;
  std::optional<ReduceRequest> reduce;
  std::vector<std::string> pools;
  std::vector<std::string> environment;  // "NAME=VALUE"
  std::string directory;                 // absolute
  Resources resources;                   // of a task; of a gang, on each node
  std::vector<std::string> labels;       // that a node must have, or with '!' must not
  bool exclusive = false;
  schema::Placement placement = schema::Placement::AS_POOL;
  std::uint32_t retries = 0;
  Duration time_limit{0};
  std::int32_t priority = 0;
  bool bind_cores = false;
  bool task_directory = false;
  std::optional<std::uint64_t> output_limit_bytes;
  std::string output_directory;  // absolute; empty: none
  std::vector<AfterRequest> after;
  RetryDelayRequest retry_delay;
  std::optional<RetryOnRequest> retry_on;
  Duration start_within{0};
  std::optional<WarningRequest> warning;
  std::optional<GangRequest> gang;  // none: each task runs on one node
  // Of a job that says what its stages are: of the above only name, pools, labels, exclusive,
  // placement and priority count then.
  std::vector<StageRequest> stages;
};

// Stages are named by their place in JobRequest::stages.
struct StageAfterRequest {
  std::size_t stage = 0;
  bool element_wise = false;
  schema::After::Condition on = schema::After::Condition::SUCCESS;
};

struct StageRequest {
  std::string name;  // may be empty
  std::vector<StageAfterRequest> after;
  std::optional<std::size_t> reduces;  // it reads the outputs of this one
  std::optional<std::uint64_t> width;  // as a tree; none: one step takes them all
  bool result = false;
  JobRequest work;
};

// How many tasks each stage has: what was submitted, then the levels of the reduce down to one.
// Precondition: width >= kReduceWidthMin if there is one.
std::vector<std::uint64_t> stage_sizes(const JobRequest& request);

// Precondition: every `after` names its job.
void fill_job_spec(const JobRequest& request, schema::JobSpec::Builder spec);

}  // namespace leat::cli
