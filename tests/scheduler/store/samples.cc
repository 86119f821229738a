#include "tests/scheduler/store/samples.h"

#include "base/check.h"
#include "schema/types.capnp.h"
#include "tests/scheduler/store/samples_gangs.h"
#include "tests/scheduler/store/samples_pools.h"
#include "tests/scheduler/store/specs.h"

namespace leat::store {
namespace {

core::RunSet run_set() {
  return {{JobId{17}, 2}, 3, IndexList::parse("5-11:3,100-163").value()};
}

core::NodeReport sample_report() {
  core::NodeReport report;
  report.node = node_ref(5, 9);
  report.capacity = {16'000, 64ull << 30, 2};
  report.host_name = "node5";
  report.data_address = "192.0.2.5:40000";
  report.agent_pid = 1234;
  report.warden_pid = 1233;
  report.topology_hash = hash_from(64);
  report.labels = {"big", "west"};
  return report;
}

core::JobAccepted sample_job_accepted() {
  return {JobId{17}, "key-17", {1000, "head.example", "user:1000"}, shared_spec(100, 10)};
}

template <typename T>
Column<T> random_column(Random& random, std::size_t count) {
  if (random.chance(20)) return {};
  if (random.chance(20)) return Column<T>(static_cast<T>(random.next() & 0xff));
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(random.next() & 0xffff);
  return Column<T>(std::move(values));
}

RunColumns random_columns(Random& random, std::size_t count) {
  RunColumns columns;
  columns.outcome = random_column<Outcome>(random, count);
  columns.code = random_column<std::int32_t>(random, count);
  columns.start_us = random_column<std::int64_t>(random, count);
  columns.duration_us = random_column<std::int64_t>(random, count);
  columns.cpu_us = random_column<std::int64_t>(random, count);
  columns.peak_kib = random_column<std::int64_t>(random, count);
  columns.output_bytes = random_column<std::int64_t>(random, count);
  columns.flags = random_column<std::uint32_t>(random, count);
  return columns;
}

IndexList random_indices(Random& random) {
  std::vector<Index> indices;
  Index at = random.below(1000);
  for (std::uint64_t n = random.below(90) + 1; n > 0; --n) {
    indices.push_back(at);
    at += 1 + (random.chance(20) ? random.below(1u << 20) : 0);
  }
  return IndexList::from_sorted(indices);
}

}  // namespace

RunColumns sample_columns() {
  return to_columns({{Outcome::kExit, 0, 1'000'001, 2'000'002, 3'000'003, 4'000, 5'000, 0},
                     {Outcome::kSignal, 9, 1'000'011, 2'000'012, 3'000'013, -4'010, 0, 1},
                     {Outcome::kCouldNotStart, 2, 0, 0, 0, 0, 0, 3}});
}

std::map<std::string, core::Fact> sample_facts() {
  using namespace core;
  const Principal actor{1000, "head.example", "user:1000"};
  RunColumns columns;
  columns.outcome = Column<Outcome>(Outcome::kExit);
  columns.duration_us = Column<std::int64_t>(123'456);
  RunColumns lost;
  lost.outcome = Column<Outcome>(Outcome::kNodeLost);
  std::map<std::string, Fact> facts = {
      {"head-started", HeadStarted{HeadEpoch{7}, 1'700'000'000'000'000, "0.1.0"}},
      {"pool-set",
       PoolSet{PoolId{3},
               PoolSpec{"wide", "local", 40, Resources{8000, 32ull << 30, 0}, {"west", "big"}},
               actor, "key-pool"}},
      {"node-requested",
       NodeRequested{node_ref(5, 9), PoolId{3}, hash_from(0), Time{Duration{99}}}},
      {"node-enrolled", NodeEnrolled{node_ref(5, 9)}},
      {"node-joined", NodeJoined{sample_report(), 4}},
      {"node-lost", NodeLost{node_ref(5, 9)}},
      {"node-gone", NodeGone{node_ref(5, 9), "its process has ended"}},
      {"job-accepted", sample_job_accepted()},
      {"runs-placed", RunsPlaced{run_set(), node_ref(5, 9), 12}},
      {"runs-ended", RunsEnded{run_set(), node_ref(5, 9), TaskState::kSucceeded, columns,
                               Blob{hash_from(32), 4096}}},
      {"runs-requeued", RunsRequeued{run_set(), node_ref(5, 9), lost}},
      {"runs-requeued-later",
       RunsRequeued{run_set(), node_ref(5, 9), columns, Duration{30'000'000}}},
      {"tasks-set-aside",
       TasksSetAside{{JobId{17}, 2}, IndexList::parse("0-9").value(), TaskState::kSkipped}},
      {"outputs-lost", OutputsLost{{JobId{17}, 2}, IndexList::parse("4,6").value()}},
      {"cancel-requested", CancelRequested{{JobId{17}, 2}, IndexList::parse("4,6").value(), actor}},
      {"job-ended", JobEnded{JobId{17}, JobState::kFailed}},
      {"job-forgotten", JobForgotten{JobId{17}}},
      {"tasks-due", TasksDue{{JobId{17}, 2}, IndexList::parse("4,6-9").value()}},
      {"job-held", JobHeld{JobId{17}, actor}},
      {"job-released", JobReleased{JobId{17}, actor}},
      {"job-set", JobSet{JobId{17}, actor, -7, "nightly"}},
      // What later versions added to facts of the first.
      {"job-accepted-after", JobAccepted{JobId{17},
                                         "key-17",
                                         actor,
                                         shared_spec(100, 10),
                                         {AfterState::kOpen, AfterState::kMet, AfterState::kDead}}},
      {"tasks-skipped", TasksSetAside{{JobId{17}, 2},
                                      IndexList::parse("0-9").value(),
                                      TaskState::kSkipped,
                                      SkipReason::kDependency,
                                      JobId{16}}},
  };
  facts.merge(sample_pool_facts());
  facts.merge(sample_gang_facts());
  return facts;
}

core::Job sample_waiting_job() {
  core::Job job = sample_job();
  job.state = core::JobState::kHeld;
  job.retry_of = JobId{16};
  job.skip_reason = core::SkipReason::kDependency;
  job.skip_cause = JobId{15};
  job.held_by = {1001, "head.example", ""};
  job.held_since = Time{Duration{300}};
  core::Stage& stage = job.stages.emplace_back();
  stage.ended_us = 4;
  stage.after = {{core::AfterState::kDead, {}}, {core::AfterState::kMet, {}}};
  return job;
}

core::Meta sample_meta() {
  core::Meta meta;
  meta.epoch = HeadEpoch{7};
  meta.next_job = 18;
  meta.next_node = 6;
  meta.next_node_epoch = 10;
  meta.next_pool = 4;
  meta.mapped = Time{Duration{123}};
  meta.mapped_wall_us = 1'700'000'000'000'000;
  return meta;
}

core::Pool sample_pool() {
  core::Pool pool;
  pool.id = PoolId{3};
  pool.state = core::PoolState::kRemoved;
  pool.spec = {"wide", "local", 40, core::Resources{8000, 32ull << 30, 0}, {"west"}};
  pool.key = "key-pool";
  return pool;
}

core::Node sample_node() {
  core::Node node;
  node.ref = node_ref(5, 9);
  node.pool = PoolId{3};
  node.state = core::NodeState::kLost;
  node.since = Time{Duration{1234}};
  node.token_hash = hash_from(0);
  node.token_expires = Time{Duration{99}};
  node.session = 4;
  node.report = sample_report();
  node.free = {1000, 1ull << 30, 1};
  core::Allotment& allotment = node.allotments[{JobId{17}, 2}];
  allotment.claims = 3;
  allotment.runs.insert({4, 9});
  allotment.runs.insert({20, 20});
  node.duty = core::NodeDuty::kLeaving;
  node.reason = "removed by a person";
  node.recall_at = Time{Duration{5678}};
  node.requested = Time{Duration{11}};
  node.joined = Time{Duration{12}};
  node.counted = Time{Duration{13}};
  node.used_millicore_us = 14;
  node.busy_us = 15;
  return node;
}

core::Job sample_job() {
  core::Job job;
  job.id = JobId{17};
  job.key = "key-17";
  job.name = "sweep";
  job.owner = {1000, "head.example", "user:1000"};
  job.priority = -5;
  job.state = core::JobState::kCancelled;
  job.cancel_requested = true;
  job.submitted = Time{Duration{100}};
  job.started = Time{Duration{200}};
  job.ended = kNever;
  job.retried = 6;
  job.lost = 7;
  job.failures = {{2, 44, Outcome::kSignal, 11, node_ref(5, 9)}};
  job.result = core::Blob{hash_from(32), 4096};
  job.final_counts = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {0, 0, 0, 0, 0, 1, 0, 0, 0, 0}};
  return job;
}

core::Stage sample_stage(const core::StageSpec& spec) {
  core::Stage stage;
  stage.spec = &spec;
  stage.cells = IntervalMap<core::TaskCell>(10, core::TaskCell::bare(core::TaskState::kWaiting));
  stage.cells.assign({1, 2}, {core::TaskState::kPlaced, 3, 1, 2, node_ref(5, 9)});
  stage.cells.assign({3, 3}, {core::TaskState::kEnding, 1, 0, 0, node_ref(6, 10)});
  stage.cells.assign({4, 5}, {core::TaskState::kHeld, 70'000, 0, 0, node_ref(6, 1ull << 40)});
  stage.cells.assign({6, 6}, core::TaskCell::bare(core::TaskState::kSkipped));
  stage.cells.assign({7, 7}, core::TaskCell::bare(core::TaskState::kBlocked));
  return stage;
}

core::Stage sample_delayed_stage(const core::StageSpec& spec) {
  core::Stage stage = sample_stage(spec);
  stage.cells.assign({8, 9}, {core::TaskState::kDelayed, 2, 1, 0, {}, Time{Duration{1'500'000}}});
  return stage;
}

void fill_job_spec(capnp::MessageBuilder& message) {
  auto job = message.initRoot<schema::JobSpec>();
  job.setName("everything");
  job.setPriority(-3);
  job.initPools(1).set(0, "wide");
  job.initRequires(1).set(0, "west");
  job.setExclusive(true);
  job.setResultStage(1);
  auto stages = job.initStages(2);
  auto program = stages[0].initProgram();
  program.initArgv(1).set(0, "/bin/true");
  auto variable = program.initEnvironment(1)[0];
  variable.setName("HOME");
  variable.setValue("/root");
  program.setDirectory("/srv");
  program.setBindCores(true);
  program.setOutputLimitBytes(77);
  program.setTaskDirectory(true);
  auto stride = stages[0].initIndices(1)[0];
  stride.setFirst(3);
  stride.setCount(4);
  stride.setStep(5);
  auto lines = stages[0].initInputs().initLines();
  const core::Hash data = hash_from(1);
  const core::Hash offsets = hash_from(2);
  lines.initData().setHash(capnp::Data::Reader(data.data(), data.size()));
  lines.getData().setLength(1000);
  lines.initOffsets().setHash(capnp::Data::Reader(offsets.data(), offsets.size()));
  lines.getOffsets().setLength(40);
  lines.setChunk(25);
  lines.setLines(100);
  auto member = stages[0].initMembers(1)[0];
  member.setCount(2);
  member.setSpread(schema::Member::Spread::DISTINCT_NODES);
  auto resources = member.initResources();
  resources.setMillicores(1500);
  resources.setMemoryBytes(1ull << 31);
  resources.setGpus(3);
  auto counter = resources.initCounters(1)[0];
  counter.setName("licence");
  counter.setAmount(6);
  stages[0].setRetries(4);
  stages[0].setTimeLimitUs(60'000'000);
  stages[0].setGraceUs(7'000'000);
  auto after = stages[0].initAfter(1)[0];
  after.setJob(16);
  after.setStage(1);
  after.setElementWise(true);
  after.setOn(schema::After::Condition::ANY);
  stages[0].setLeaseUs(8'000'000);
  stages[0].setOnNodeLoss(schema::StageSpec::OnNodeLoss::WAIT);
  stages[0].setExclusiveRun(true);
  stages[0].setStartWithinUs(9'000'000);
  auto outputs = stages[1].initInputs().initOutputs();
  outputs.setStage(0);
  outputs.setWidth(32);
}

void fill_waits(capnp::MessageBuilder& message) {
  fill_job_spec(message);
  auto job = message.getRoot<schema::JobSpec>();
  job.setRetryOf(16);
  auto stage = job.getStages()[0];
  stage.initRetryDelay().setUs(1'000'000);
  stage.getRetryDelay().setFactorMilli(2500);
  stage.getRetryDelay().setMaxUs(60'000'000);
  auto on = stage.initRetryOn();
  on.setOnly(true);
  on.initCodes(1).set(0, 255);
  on.initSignals(1).set(0, 9);
  on.initOutcomes(1).set(0, schema::Outcome::TIME_LIMIT);
  stage.initWarning().setSignal(10);
  stage.getWarning().setBeforeUs(30'000'000);
  auto origin = stage.initOrigin(1)[0];
  origin.setFirst(3);
  origin.setCount(40);
  origin.setStep(5);
}

core::Fact random_fact(std::size_t kind, Random& random) {
  using namespace core;
  const auto number = [&random] { return random.next() >> (random.below(63) + 1); };
  const auto number32 = [&random] { return static_cast<std::uint32_t>(random.next()); };
  const NodeRef node = node_ref(number32(), number());
  const StageRef stage{JobId{number()}, static_cast<StageId>(random.below(64))};
  const IndexList indices = random_indices(random);
  const RunSet runs{stage, number32(), indices};
  const Principal actor{number32(), random_text(random), random_text(random)};
  Hash hash{};
  for (std::uint8_t& byte : hash) byte = static_cast<std::uint8_t>(random.next() & 0xff);
  switch (kind) {
    case 0:
      return HeadStarted{HeadEpoch{number()}, static_cast<std::int64_t>(number()),
                         random_text(random)};
    case 1: {
      PoolSpec spec{random_text(random), random_text(random), number32(), {}, {}};
      if (random.chance(50)) spec.shape = random_resources(random);
      spec.labels.assign(random.below(3), random_text(random));
      adorn(spec, random);
      return PoolSet{PoolId{number32()}, spec, actor, random_text(random)};
    }
    case 2:
      return NodeRequested{node, PoolId{number32()}, hash,
                           Time{Duration{static_cast<std::int64_t>(number())}}};
    case 3:
      return NodeEnrolled{node};
    case 4: {
      NodeReport report{node,
                        random_resources(random),
                        random_text(random),
                        random_text(random),
                        number32(),
                        number32(),
                        hash,
                        {}};
      report.labels.assign(random.below(3), random_text(random));
      return NodeJoined{report, number()};
    }
    case 5:
      return NodeLost{node};
    case 6:
      return NodeGone{node, random_text(random)};
    case 7: {
      JobAccepted accepted{JobId{number()}, random_text(random), actor,
                           shared_spec(1 + random.below(1000), random.chance(50) ? 7 : 0)};
      for (std::uint64_t n = random.below(4); n > 0; --n)
        accepted.after.push_back(static_cast<AfterState>(random.below(3)));
      return accepted;
    }
    case 8:
      return RunsPlaced{runs, node, number32()};
    case 9: {
      RunsEnded ended{runs,
                      node,
                      static_cast<TaskState>(random.below(kTaskStateCount)),
                      random_columns(random, indices.size()),
                      {}};
      if (random.chance(50)) ended.result = Blob{hash, number()};
      return ended;
    }
    case 10:
      return RunsRequeued{runs, node, random_columns(random, indices.size()),
                          Duration(random.chance(50) ? number32() : 0)};
    case 11:
      return TasksSetAside{stage, indices, static_cast<TaskState>(random.below(kTaskStateCount)),
                           static_cast<SkipReason>(random.below(3)), JobId{number()}};
    case 12:
      return OutputsLost{stage, indices};
    case 13:
      return CancelRequested{stage, random.chance(50) ? indices : IndexList(), actor};
    case 14:
      return JobEnded{JobId{number()}, static_cast<JobState>(random.below(kJobStateCount))};
    case 15:
      return JobForgotten{JobId{number()}};
    case 24:
      return TasksDue{stage, indices};
    case 25:
      return JobHeld{JobId{number()}, actor};
    case 26:
      return JobReleased{JobId{number()}, actor};
    case 27:
      return JobSet{JobId{number()}, actor, static_cast<std::int32_t>(number32()),
                    random_text(random)};
    case 29:
    case 30:
      return random_gang_fact(kind, random);
    default:
      return random_pool_fact(kind, random);
  }
}

}  // namespace leat::store
