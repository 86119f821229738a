#include "scheduler/wire/retry_spec.h"

#include <capnp/message.h>

#include "scheduler/store/spec_codec.h"
#include "scheduler/store/value_codec.h"

namespace leat::wire {

Result<core::JobSpec> retry_spec(JobId of, const std::shared_ptr<const std::string>& encoded,
                                 const IndexList& indices, std::int32_t priority,
                                 const std::string& name) {
  const std::string job = "job " + std::to_string(of.value);
  core::JobSpec old;
  old.encoded = encoded;
  return store::with_encoded(old, [&](schema::JobSpec::Reader from) -> Result<core::JobSpec> {
    const auto stages = from.getStages();
    bool reduces = false;
    for (const auto stage : stages) reduces = reduces || stage.getInputs().isOutputs();
    if (stages.size() != 1 && !reduces)
      return Refusal{Reason::kConflict,
                     job +
                         " has stages that come after each other, and what became of the tasks of "
                         "each is not kept: submit it again"};
    if (stages.size() != 1)
      return Refusal{Reason::kConflict,
                     job +
                         " reduces its outputs, and those of the tasks that succeeded are not "
                         "kept: submit it again"};
    if (indices.empty())
      return Refusal{Reason::kConflict, job + " has no task that ended without success"};
    capnp::MallocMessageBuilder message;
    message.setRoot(from);
    auto to = message.getRoot<schema::JobSpec>();
    to.setRetryOf(of.value);
    to.setPriority(priority);
    to.setName(store::text_of(name));
    auto stage = to.getStages()[0];
    stage.initAfter(0);
    // Counted from the job that was submitted first, however often it is retried.
    if (stage.getOrigin().size() == 0) stage.setOrigin(from.getStages()[0].getIndices());
    store::write_index_list(indices,
                            stage.initIndices(static_cast<capnp::uint>(indices.strides().size())));
    return store::read_job_spec(to.asReader());
  });
}

std::optional<core::PoolSpec> own_pool_of(const core::JobSpec& spec) {
  return store::with_encoded(spec,
                             [](schema::JobSpec::Reader job) -> std::optional<core::PoolSpec> {
                               if (job.getOwnPool().getName().size() == 0) return std::nullopt;
                               core::PoolSpec pool = store::restore_pool_spec(job.getOwnPool());
                               pool.for_job = {};
                               return pool;
                             });
}

}  // namespace leat::wire
