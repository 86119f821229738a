// samples_past.cc - a job that has ended, and what history keeps of its tasks.

#include "tests/scheduler/store/samples.h"
#include "tests/scheduler/store/specs.h"

namespace leat::store {

core::Job sample_past_job() {
  const auto spec = shared_spec(100, 10);
  core::PastTasks past;
  past.known = true;
  past.indices = spec->stages[0].indices;
  past.unsuccessful = IndexList::parse("3,50-59,97").value();
  past.later = {IndexList::parse("2,5-7").value(), IndexList(Stride{0, 1, 1})};
  past.encoded = spec->encoded;
  core::Job job = sample_job();
  job.final_counts.resize(3);
  job.past = std::make_shared<const core::PastTasks>(std::move(past));
  return job;
}

}  // namespace leat::store
