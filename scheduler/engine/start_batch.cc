#include "scheduler/engine/start_batch.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "scheduler/store/spec_codec.h"

namespace leat::engine {
namespace {

// Splits the first `count` indices off.
core::RunSet split_off(core::RunSet& from, std::uint64_t count) {
  const std::uint64_t size = from.indices.size();
  if (count >= size) return std::exchange(from, core::RunSet{from.stage, from.attempt, {}});
  core::RunSet first{from.stage, from.attempt, from.indices.select(IntervalSet(0, count - 1))};
  from.indices = from.indices.select(IntervalSet(count, size - 1));
  return first;
}

void take_reduces(const core::State& state, core::StartRuns& start, OutgoingBatch& batch) {
  const core::Stage& stage = *state.stage(start.runs.stage);
  core::RunSet some = start.runs;
  const std::vector<Index> candidates =
      split_off(some, kRunsPerBatch - batch.runs).indices.expand();
  OutgoingSet set{{start.node, {start.runs.stage, start.runs.attempt, {}}, start.claims}, {}};
  std::vector<Index> taken;
  std::size_t looked_at = 0;
  while (looked_at < candidates.size() && !batch.full()) {
    const Index index = candidates[looked_at++];
    const auto position = stage.spec->indices.position_of(index);
    LEAT_CHECK(position.has_value());
    RunInputs inputs = find_inputs(state, start.runs.stage, *position);
    if (inputs.size() > kPartsPerRunMax) {
      batch.too_scattered.push_back(
          {start.runs.stage, start.runs.attempt, IndexList(Stride{index, 1, 1})});
      continue;
    }
    batch.parts += inputs.size();
    ++batch.runs;
    taken.push_back(index);
    set.inputs.push_back(std::move(inputs));
  }
  split_off(start.runs, looked_at);
  if (taken.empty()) return;
  set.start.runs.indices = IndexList::from_sorted(taken);
  batch.sets.push_back(std::move(set));
}

void write_inputs(const core::State& state, const std::vector<RunInputs>& inputs,
                  const BatchWords& words, schema::StartSet::Builder to) {
  auto tasks = to.initInputs(static_cast<unsigned>(inputs.size()));
  for (unsigned n = 0; n < tasks.size(); ++n) {
    auto parts = tasks[n].initParts(static_cast<unsigned>(inputs[n].size()));
    for (unsigned m = 0; m < parts.size(); ++m) {
      const InputPart& from = inputs[n][m];
      store::write_run_set(from.runs, parts[m].initRuns());
      store::write_node_ref(from.node, parts[m].initNode());
      parts[m].setOfGangs(state.stage(from.runs.stage)->spec->gang);
      const core::Node* node = state.node(from.node);
      if (node == nullptr) continue;  // no address: the agent reports the input as lost
      parts[m].setAddress(store::text_of(node->report.data_address));
      parts[m].setTicket(
          store::data_of(words.tickets.outputs_for_agent(from.runs.stage, words.reader)));
    }
  }
}

void write_hub(const GangHub& hub, schema::GangHub::Builder to) {
  to.setAddress(store::text_of(hub.address));
  to.setAuthorityPem(store::text_of(hub.authority_pem));
  to.setCertificatePem(store::text_of(hub.certificate_pem));
  to.setKeyPem(store::text_of(hub.key_pem));
}

void write_gang(const core::State& state, const core::StartRuns& start, const GangDesk& gangs,
                schema::GangStart::Builder to) {
  const std::vector<NodeRef>& nodes = *start.gang;
  const auto at = std::find(nodes.begin(), nodes.end(), start.node);
  to.setMember(static_cast<std::uint32_t>(at - nodes.begin()));
  auto list = to.initNodes(static_cast<unsigned>(nodes.size()));
  for (unsigned n = 0; n < list.size(); ++n) {
    store::write_node_ref(nodes[n], list[n].initNode());
    // One that is gone meanwhile ends the gang before long.
    const core::Node* node = state.node(nodes[n]);
    if (node != nullptr) list[n].setHostName(store::text_of(node->report.host_name));
  }
  const core::Node* here = state.node(start.node);
  const core::Pool* pool = here == nullptr ? nullptr : state.pool(here->pool);
  if (pool != nullptr) to.setInterfaces(store::text_of(pool->spec.mpi_interfaces));
  const GangHub* hub = gangs.find(start);
  if (hub != nullptr && at != nodes.begin()) write_hub(*hub, to.initHub());
}

void write_set(const core::State& state, const OutgoingSet& set, const BatchWords& words,
               std::set<StageRef>& known, schema::StartSet::Builder to) {
  const StageRef ref = set.start.runs.stage;
  const core::Job& job = *state.job(ref.job);
  store::write_run_set(set.start.runs, to.initRuns());
  to.setClaims(set.start.claims);
  to.setJobName(store::text_of(job.name));
  const bool is_result = job.spec->result_stage == static_cast<std::int32_t>(ref.stage);
  to.setIsResult(is_result);
  to.setExclusive(job.stages[ref.stage].spec->exclusive);
  store::with_encoded(*job.spec, [&](schema::JobSpec::Reader whole) {
    const auto spec = whole.getStages()[ref.stage];
    // A retry of some tasks counts all that were submitted.
    const auto counted = spec.getOrigin().size() > 0 ? spec.getOrigin() : spec.getIndices();
    std::uint64_t tasks = 0;
    for (const auto stride : counted) tasks += stride.getCount();
    to.setTaskCount(tasks);
    if (known.insert(ref).second) to.setSpec(spec);
    const bool reads = spec.getInputs().isLines() || spec.getInputs().hasStandardInput();
    const std::string inputs =
        reads ? words.tickets.inputs_for_agent(ref, words.reader) : std::string();
    if (is_result) {
      to.setStoreTicket(store::data_of(words.tickets.result_for_agent(ref, words.reader)));
      to.setInputTicket(store::data_of(inputs));
    } else {
      to.setStoreTicket(store::data_of(inputs));
    }
  });
  if (!set.inputs.empty()) write_inputs(state, set.inputs, words, to);
  if (set.start.gang != nullptr) write_gang(state, set.start, words.gangs, to.initGang());
}

}  // namespace

RunInputs find_inputs(const core::State& state, StageRef ref, std::uint64_t position) {
  const core::Job& job = *state.job(ref.job);
  const core::Stage& stage = job.stages[ref.stage];
  LEAT_CHECK(stage.spec->reduces.has_value());
  const StageId below = stage.spec->reduces->stage;
  const core::Stage& reduced = job.stages[below];

  struct Piece {
    Interval where;
    Attempt attempt;
    NodeRef node;
  };
  std::vector<Piece> pieces;
  reduced.cells.for_each(core::inputs_of(reduced, *stage.spec->reduces, position),
                         [&pieces](Interval where, const core::TaskCell& cell) {
                           const NodeRef node =
                               cell.state == core::TaskState::kHeld ? cell.node : NodeRef{};
                           if (!pieces.empty() && pieces.back().node == node &&
                               pieces.back().attempt == cell.attempt) {
                             pieces.back().where.last = where.last;
                           } else {
                             pieces.push_back({where, cell.attempt, node});
                           }
                         });
  RunInputs inputs;
  inputs.reserve(pieces.size());
  for (const Piece& piece : pieces)
    inputs.push_back(
        {{{ref.job, below},
          piece.attempt,
          reduced.spec->indices.select(IntervalSet(piece.where.first, piece.where.last))},
         piece.node});
  return inputs;
}

void take_runs(const core::State& state, const std::set<StageRef>& known, core::StartRuns& start,
               OutgoingBatch& batch) {
  const core::Job* job = state.job(start.runs.stage.job);
  if (job == nullptr || !job->active()) {
    start.runs.indices = {};
    return;
  }
  if (batch.full() || start.runs.indices.empty()) return;
  if (!known.contains(start.runs.stage)) batch.spec_bytes += job->spec->encoded->size();
  if (job->stages[start.runs.stage.stage].spec->reduces) {
    take_reduces(state, start, batch);
    return;
  }
  core::RunSet runs = split_off(start.runs, kRunsPerBatch - batch.runs);
  batch.runs += runs.indices.size();
  // A gang's set names all of its nodes.
  if (start.gang != nullptr) batch.parts += start.gang->size();
  batch.sets.push_back({{start.node, std::move(runs), start.claims, start.gang}, {}});
}

GangHub read_hub(schema::GangHub::Reader from) {
  return {store::read_text(from.getAddress()), store::read_text(from.getAuthorityPem()),
          store::read_text(from.getCertificatePem()), store::read_text(from.getKeyPem())};
}

void write_sets(const core::State& state, const OutgoingBatch& batch, const BatchWords& words,
                std::set<StageRef>& known, schema::StartBatch::Builder to) {
  auto sets = to.initSets(static_cast<unsigned>(batch.sets.size()));
  for (unsigned n = 0; n < sets.size(); ++n) write_set(state, batch.sets[n], words, known, sets[n]);
}

}  // namespace leat::engine
