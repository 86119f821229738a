#include "scheduler/store/spec_codec.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/scheduler/store/samples.h"
#include "tests/scheduler/store/specs.h"

namespace leat::store {
namespace {

TEST(SpecCodec, ReadsWhatTheCoreLooksAt) {
  SpecMessage message(100, 10, 3);
  message.job().setPriority(4);
  message.job().initPools(2).set(1, "wide");
  message.job().getPools().set(0, "narrow");
  message.stage().setTimeLimitUs(5);
  message.stage().setGraceUs(6);
  message.stage().setLeaseUs(7);
  auto needs = message.stage().getMembers()[0].getResources();
  needs.setMemoryBytes(8);
  needs.setGpus(2);
  needs.initCounters(1)[0].setName("licence");
  needs.getCounters()[0].setAmount(3);
  message.job().initRequires(2).set(0, "rack=7");
  message.job().getRequires().set(1, "!slow");
  message.job().setExclusive(true);
  message.job().setPlacement(schema::Placement::SPREAD);
  const Result<core::JobSpec> read = message.read();
  ASSERT_TRUE(read.ok()) << read.refusal().message;
  const core::JobSpec& spec = read.value();
  EXPECT_EQ(spec.name, "sweep");
  EXPECT_EQ(spec.priority, 4);
  EXPECT_EQ(spec.pools, (std::vector<std::string>{"narrow", "wide"}));
  EXPECT_EQ(spec.result_stage, 2);
  ASSERT_EQ(spec.stages.size(), 3u);
  EXPECT_EQ(spec.stages[0].indices, IndexList::parse("0-297:3").value());
  EXPECT_EQ(spec.stages[0].resources, (core::Resources{1000, 8, 2, {{"licence", 3}}}));
  EXPECT_EQ(spec.labels, (std::vector<Requirement>{{false, "rack=7"}, {true, "slow"}}));
  EXPECT_TRUE(spec.stages[0].exclusive && spec.stages[2].exclusive);
  EXPECT_EQ(spec.packing, core::Packing::kSpread);
  EXPECT_EQ(spec.stages[0].retries, 2u);
  EXPECT_EQ(spec.stages[0].time_limit, Duration{5});
  EXPECT_EQ(spec.stages[0].grace, Duration{6});
  EXPECT_EQ(spec.stages[0].lease, Duration{7});
  EXPECT_FALSE(spec.stages[0].reduces);
  EXPECT_EQ(spec.stages[2].reduces, (core::ReduceInput{1, 10}));
  EXPECT_FALSE(core::check(spec).has_value());
}

TEST(SpecCodec, KeepsTheWholeMessage) {
  const core::JobSpec spec = sweep_spec(100, 10);
  EXPECT_EQ(spec.encoded->size() % 8, 0u);
  with_encoded(spec, [](schema::JobSpec::Reader job) {
    EXPECT_EQ(job.getStages()[0].getProgram().getArgv()[1], "hello");
    EXPECT_EQ(job.getStages()[0].getProgram().getEnvironment()[0].getValue(), "/bin");
  });
  const Result<core::JobSpec> again = restore_job_spec(*spec.encoded);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value().stages, spec.stages);
  EXPECT_EQ(*again.value().encoded, *spec.encoded);
}

struct Bad {
  const char* name;
  std::function<void(SpecMessage&)> spoil;
  Reason reason;
  const char* says;
};

const Bad kBad[] = {
    {"gang", [](SpecMessage& m) { m.stage().getMembers()[0].setCount(2); },
     Reason::kNotInThisVersion, "members of a gang that share nodes: not in this version"},
    {"two members", [](SpecMessage& m) { m.stage().initMembers(2); }, Reason::kNotInThisVersion,
     "members of a gang that are not alike: not in this version"},
    {"no member", [](SpecMessage& m) { m.stage().initMembers(0); }, Reason::kInvalid,
     "no member says what a task needs"},
    {"gpus", [](SpecMessage& m) { m.stage().getMembers()[0].getResources().setGpus(65); },
     Reason::kInvalid, "more than 64 gpus"},
    {"counters", [](SpecMessage& m) { m.stage().getMembers()[0].getResources().initCounters(1); },
     Reason::kInvalid,
     "a resource's name is a letter and then letters, digits, '-', '_' or '.', 64 at most"},
    {"many counters",
     [](SpecMessage& m) { m.stage().getMembers()[0].getResources().initCounters(17); },
     Reason::kInvalid, "more than 16 named resources"},
    {"unsorted counters",
     [](SpecMessage& m) {
       auto counters = m.stage().getMembers()[0].getResources().initCounters(2);
       counters[0].setName("b");
       counters[0].setAmount(1);
       counters[1].setName("a");
       counters[1].setAmount(1);
     },
     Reason::kInvalid, "resources are not sorted by name"},
    {"requires", [](SpecMessage& m) { m.job().initRequires(1).set(0, "a b"); }, Reason::kInvalid,
     "\"a b\" is no label: write fast, rack=7, or !fast for nodes without it"},
    {"many requires", [](SpecMessage& m) { m.job().initRequires(65); }, Reason::kInvalid,
     "more than 64 required labels"},
    {"placement", [](SpecMessage& m) { m.job().setPlacement(static_cast<schema::Placement>(9)); },
     Reason::kNotInThisVersion, "a placement of a newer kind: not in this version"},
    {"node loss",
     [](SpecMessage& m) { m.stage().setOnNodeLoss(schema::StageSpec::OnNodeLoss::FAIL); },
     Reason::kNotInThisVersion, "on-node-loss other than requeue: not in this version"},
    {"exclusive run", [](SpecMessage& m) { m.stage().setExclusiveRun(true); },
     Reason::kNotInThisVersion, "exclusive runs: not in this version"},
    {"no program", [](SpecMessage& m) { m.stage().getProgram().initArgv(0); }, Reason::kInvalid,
     "no program is named"},
    {"empty program", [](SpecMessage& m) { m.stage().getProgram().getArgv().set(0, ""); },
     Reason::kInvalid, "no program is named"},
    {"zero in an argument",
     [](SpecMessage& m) { m.stage().getProgram().getArgv().set(1, kj::StringPtr("a\0b", 3)); },
     Reason::kInvalid, "an argument contains a zero byte"},
    {"name with =",
     [](SpecMessage& m) { m.stage().getProgram().getEnvironment()[0].setName("A=B"); },
     Reason::kInvalid, "a name in the environment is empty or contains = or 0"},
    {"no name", [](SpecMessage& m) { m.stage().getProgram().getEnvironment()[0].setName(""); },
     Reason::kInvalid, "a name in the environment is empty or contains = or 0"},
    {"zero in a value",
     [](SpecMessage& m) {
       m.stage().getProgram().getEnvironment()[0].setValue(kj::StringPtr("\0", 1));
     },
     Reason::kInvalid, "the value of PATH contains a zero byte"},
    {"relative directory", [](SpecMessage& m) { m.stage().getProgram().setDirectory("here"); },
     Reason::kInvalid, "the working directory must be an absolute path"},
    {"no directory", [](SpecMessage& m) { m.stage().getProgram().setDirectory(""); },
     Reason::kInvalid, "the working directory must be an absolute path"},
    {"empty pool name", [](SpecMessage& m) { m.job().initPools(1); }, Reason::kInvalid,
     "the name of a pool must have 1 to 256 bytes"},
    {"too many stages", [](SpecMessage& m) { m.job().initStages(65); }, Reason::kInvalid,
     "more than 64 stages"},
    {"stride out of range", [](SpecMessage& m) { m.stage().getIndices()[0].setStep(0); },
     Reason::kInvalid, "stage 0: index list: a stride is out of range"},
    {"strides out of order", [](SpecMessage& m) { m.stage().initIndices(2); }, Reason::kInvalid,
     "stage 0: index list: strides are not sorted"},
    {"lines without bytes",
     [](SpecMessage& m) { m.stage().initInputs().initLines().setLines(100); }, Reason::kInvalid,
     "an input without its bytes"},
    {"lines and chunk",
     [](SpecMessage& m) {
       auto lines = m.stage().initInputs().initLines();
       lines.setLines(100);
       lines.setChunk(2);
     },
     Reason::kInvalid, "the number of tasks does not match lines and chunk"},
    {"no lines", [](SpecMessage& m) { m.stage().initInputs().initLines(); }, Reason::kInvalid,
     "the input has no lines"},
    {"chunk of nothing", [](SpecMessage& m) { m.stage().initInputs().initLines().setChunk(0); },
     Reason::kInvalid, "a chunk needs at least one line"},
    {"files by the chunk",
     [](SpecMessage& m) {
       auto lines = m.stage().initInputs().initLines();
       lines.setLines(200);
       lines.setChunk(2);
       lines.setUse(schema::Inputs::Lines::Use::FILE);
     },
     Reason::kInvalid, "files and objects come one to a task"},
    {"two standard inputs",
     [](SpecMessage& m) {
       auto inputs = m.stage().initInputs();
       inputs.initLines().setUse(schema::Inputs::Lines::Use::OBJECT);
       inputs.initStandardInput();
     },
     Reason::kInvalid, "a task cannot have two standard inputs"},
    {"standard input without bytes",
     [](SpecMessage& m) { m.stage().initInputs().initStandardInput(); }, Reason::kInvalid,
     "an input without its bytes"},
    {"use of a newer kind",
     [](SpecMessage& m) {
       m.stage().initInputs().initLines().setUse(static_cast<schema::Inputs::Lines::Use>(9));
     },
     Reason::kNotInThisVersion, "input lines of a newer use: not in this version"},
    {"relative directory for outputs",
     [](SpecMessage& m) { m.stage().getProgram().setOutputDirectory("out"); }, Reason::kInvalid,
     "the directory for outputs must be an absolute path"},
    {"after itself", [](SpecMessage& m) { m.stage().initAfter(1); }, Reason::kInvalid,
     "a job cannot wait for itself"},
    {"a warning that is no signal",
     [](SpecMessage& m) {
       m.stage().setTimeLimitUs(10);
       m.stage().initWarning().setSignal(65);
       m.stage().getWarning().setBeforeUs(5);
     },
     Reason::kInvalid, "the warning is no signal"},
    {"a warning before the start",
     [](SpecMessage& m) {
       m.stage().setTimeLimitUs(10);
       m.stage().initWarning().setSignal(10);
       m.stage().getWarning().setBeforeUs(10);
     },
     Reason::kInvalid, "the warning must come before the time limit, and within it"},
    {"a retry of other tasks", [](SpecMessage& m) { m.stage().initOrigin(1); }, Reason::kInvalid,
     "its tasks are not among those it retries"},
    {"too large",
     [](SpecMessage& m) {
       m.stage().getProgram().getArgv().set(1, kj::str(kj::repeat('x', 5 << 20)));
     },
     Reason::kInvalid,
     "the job is larger than 4 MiB: its environment, arguments and lists together"},
};

TEST(SpecCodec, RefusesWithTheReason) {
  for (const Bad& bad : kBad) {
    SpecMessage message(100);
    bad.spoil(message);
    const Result<core::JobSpec> read = message.read();
    ASSERT_FALSE(read.ok()) << bad.name;
    EXPECT_EQ(read.refusal().reason, bad.reason) << bad.name;
    EXPECT_EQ(read.refusal().message, bad.says) << bad.name;
  }
}

TEST(SpecCodec, NamesTheStageWhenThereAreSeveral) {
  SpecMessage message(100, 10);
  message.job().getStages()[1].initAfter(1)[0].setStage(1);
  EXPECT_EQ(message.read().refusal().message, "stage 1: it can come only after stages before it");
  message.job().getStages()[1].getAfter()[0].setJob(7);
  EXPECT_EQ(message.read().refusal().message,
            "stage 1: waiting for a stage of another job: not in this version");
}

TEST(SpecCodec, ReadsWhichStageAnotherComesAfter) {
  SpecMessage message(100, 10);
  auto last = message.job().getStages()[2];
  last.setName("last");
  auto after = last.initAfter(1)[0];
  after.setStage(1);
  after.setElementWise(true);
  after.setOn(schema::After::Condition::ANY);
  const Result<core::JobSpec> read = message.read();
  ASSERT_TRUE(read.ok()) << read.refusal().message;
  const core::StageSpec& stage = read.value().stages[2];
  EXPECT_EQ(stage.name, "last");
  ASSERT_EQ(stage.after.size(), 1u);
  EXPECT_EQ(stage.after[0], (core::After{{}, true, core::Condition::kAny, 1}));
}

TEST(SpecCodec, TakesBackWhatWasAcceptedOnce) {
  // What this version would refuse from a user, it still reads from its store.
  SpecMessage message(100);
  message.job().setExclusive(true);
  EXPECT_TRUE(restore_job_spec(message.job().asReader()).ok());
}

}  // namespace
}  // namespace leat::store
