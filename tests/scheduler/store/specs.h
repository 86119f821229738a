#pragma once

// specs.h - jobs as the command line sends them, for tests of the store.

#include <capnp/message.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/check.h"
#include "scheduler/store/spec_codec.h"
#include "schema/types.capnp.h"

namespace leat::store {

// A message one may still spoil before it is read.
class SpecMessage {
 public:
  // `tasks` tasks of one core; with `width`, reduced by a tree until one task is left.
  explicit SpecMessage(std::uint64_t tasks, std::uint64_t width = 0, std::uint64_t step = 1) {
    std::uint64_t levels = 1;
    for (std::uint64_t n = tasks; width > 0 && (n > 1 || levels == 1); n = (n - 1) / width + 1)
      ++levels;
    job_ = message_.initRoot<schema::JobSpec>();
    job_.setName("sweep");
    auto stages = job_.initStages(static_cast<capnp::uint>(levels));
    for (capnp::uint id = 0; id < levels; ++id) {
      fill(stages[id], tasks, id == 0 ? step : 1);
      if (id > 0) {
        auto outputs = stages[id].initInputs().initOutputs();
        outputs.setStage(static_cast<StageId>(id - 1));
        outputs.setWidth(width);
      }
      if (width > 0) tasks = (tasks - 1) / width + 1;
    }
    if (width > 0) job_.setResultStage(static_cast<std::int32_t>(levels) - 1);
  }

  schema::JobSpec::Builder job() { return job_; }
  schema::StageSpec::Builder stage() { return job_.getStages()[0]; }
  Result<core::JobSpec> read() { return read_job_spec(job_.asReader()); }

 private:
  static void fill(schema::StageSpec::Builder stage, std::uint64_t tasks, std::uint64_t step) {
    auto program = stage.initProgram();
    auto argv = program.initArgv(2);
    argv.set(0, "/bin/echo");
    argv.set(1, "hello");
    auto environment = program.initEnvironment(1);
    environment[0].setName("PATH");
    environment[0].setValue("/bin");
    program.setDirectory("/");
    auto indices = stage.initIndices(1);
    indices[0].setFirst(0);
    indices[0].setCount(tasks);
    indices[0].setStep(step);
    stage.initMembers(1)[0].initResources().setMillicores(1000);
    stage.setRetries(2);
  }

  capnp::MallocMessageBuilder message_;
  schema::JobSpec::Builder job_{nullptr};
};

inline core::JobSpec sweep_spec(std::uint64_t tasks, std::uint64_t width = 0,
                                std::uint64_t step = 1) {
  Result<core::JobSpec> spec = SpecMessage(tasks, width, step).read();
  LEAT_CHECK(spec.ok());
  return std::move(spec).value();
}

inline std::shared_ptr<const core::JobSpec> shared_spec(std::uint64_t tasks,
                                                        std::uint64_t width = 0) {
  return std::make_shared<const core::JobSpec>(sweep_spec(tasks, width));
}

}  // namespace leat::store
