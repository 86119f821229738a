#include "scheduler/wire/task_progress.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "scheduler/store/value_codec.h"

namespace leat::wire {
namespace {

constexpr std::uint16_t kPermilleMax = 1000;

}  // namespace

void take_progress(engine::TaskBoard& board, const core::State& state, NodeRef node,
                   capnp::List<schema::TaskProgress>::Reader told) {
  for (unsigned n = 0; n < std::min(told.size(), kWordsTakenMax); ++n) {
    const schema::RunId::Reader run = told[n].getRun();
    engine::TaskWord word{{JobId{run.getJob()}, run.getStage(), run.getAttempt(), run.getIndex()},
                          std::min(told[n].getPermille(), kPermilleMax),
                          {}};
    // Agents cut and clean it; one that does not is not quoted.
    if (told[n].getMessage().size() <= kMessageTakenMax)
      word.message = store::read_text(told[n].getMessage());
    if (!is_utf8(word.message)) word.message.clear();
    board.take(state, node, std::move(word));
  }
}

void write_progress(const engine::TaskBoard& board, const core::State& state, JobId job,
                    schema::JobSummary::Builder to) {
  const std::vector<engine::TaskWord> words = board.of(state, job);
  auto tasks = to.initProgress(static_cast<unsigned>(words.size()));
  for (unsigned n = 0; n < tasks.size(); ++n) {
    const engine::TaskWord& word = words[n];
    auto run = tasks[n].initRun();
    run.setJob(word.run.job.value);
    run.setStage(word.run.stage);
    run.setIndex(word.run.index);
    run.setAttempt(word.run.attempt);
    tasks[n].setPermille(word.permille);
    tasks[n].setMessage(store::text_of(word.message));
  }
}

}  // namespace leat::wire
