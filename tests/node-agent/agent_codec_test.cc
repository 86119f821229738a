#include "node-agent/agent_codec.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "base/random.h"

namespace leat::agent {
namespace {

IndexList list(std::string_view text) {
  return IndexList::parse(text).value();
}

BlobRef blob(int seed) {
  BlobRef b;
  for (std::size_t i = 0; i < b.hash.size(); ++i)
    b.hash[i] = static_cast<std::byte>(seed + static_cast<int>(i));
  b.length = 1000;
  return b;
}

StartBatch start_batch() {
  StageSpec spec;
  spec.program.argv = {"/bin/echo", "", "a b"};
  spec.program.environment = {{"PATH", "/bin"}, {"EMPTY", ""}};
  spec.program.directory = "/tmp";
  spec.program.bind_cores = true;
  spec.program.output_limit_bytes = 77;
  spec.program.task_directory = true;
  spec.program.output_directory = "/out";
  spec.indices = list("1-100:3,1000");
  spec.inputs.kind = Inputs::Kind::kLines;
  spec.inputs.data = blob(1);
  spec.inputs.offsets = blob(2);
  spec.inputs.use = Inputs::Use::kFile;
  spec.inputs.standard_input = blob(3);
  spec.inputs.chunk = 5;
  spec.inputs.lines = 170;
  spec.resources = {2500, 1 << 30, 2, {{"licence", 3}, {"scratch", 1}}};
  spec.time_limit = Duration(123);
  spec.grace = Duration(456);
  spec.warning_signal = 10;
  spec.warning_before = Duration(77);
  spec.origin = IndexList::parse("0-100:5").value();
  StartSet first;
  first.runs = {{JobId{7}, 3}, 2, list("1-10:3"), 0};
  first.claims = 4;
  first.spec = std::make_shared<const StageSpec>(spec);
  first.task_count = 35;
  first.job_name = "sweep";
  first.store_ticket = std::string("t\0k", 3);
  first.input_ticket = std::string("\0in", 3);
  StartSet second;
  second.runs = {{JobId{8}, 1}, 1, list("0-1"), 0};
  second.is_result = true;
  second.inputs.resize(2);
  second.inputs[1].push_back({{{JobId{8}, 0}, 1, list("5-9"), 0},
                              {NodeId{3}, NodeEpoch{9}},
                              "127.0.0.1:99",
                              std::string("\0ticket", 7)});
  return {HeadEpoch{5}, 6, 7, {first, second}};
}

TEST(AgentCodec, CarriesAStartBatchThereAndBack) {
  const StartBatch batch = start_batch();
  capnp::MallocMessageBuilder message;
  write_start_batch(batch, message.initRoot<schema::StartBatch>());
  const Result<StartBatch> read =
      read_start_batch(message.getRoot<schema::StartBatch>().asReader());
  ASSERT_TRUE(read.ok()) << read.refusal().message;
  const StartBatch& got = read.value();
  EXPECT_EQ(got.head_epoch, batch.head_epoch);
  EXPECT_EQ(got.session, batch.session);
  EXPECT_EQ(got.sequence, batch.sequence);
  ASSERT_EQ(got.sets.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(got.sets[i].runs, batch.sets[i].runs);
    EXPECT_EQ(got.sets[i].claims, batch.sets[i].claims);
    EXPECT_EQ(got.sets[i].task_count, batch.sets[i].task_count);
    EXPECT_EQ(got.sets[i].inputs, batch.sets[i].inputs);
    EXPECT_EQ(got.sets[i].job_name, batch.sets[i].job_name);
    EXPECT_EQ(got.sets[i].is_result, batch.sets[i].is_result);
    EXPECT_EQ(got.sets[i].store_ticket, batch.sets[i].store_ticket);
    EXPECT_EQ(got.sets[i].input_ticket, batch.sets[i].input_ticket);
  }
  EXPECT_EQ(*got.sets[0].spec, *batch.sets[0].spec);
  EXPECT_EQ(got.sets[1].spec, nullptr);
}

TEST(AgentCodec, CarriesReportsAndOrdersThereAndBack) {
  ReportBatch report;
  RunResult ok;
  ok.start_us = 5;
  RunResult bad{Outcome::kSignal, 9, -1, 2, 3, -4, 5, 3};
  report.ended.push_back({{{JobId{1}, 2}, 3, list("4-5"), 0}, to_columns({ok, bad}), std::nullopt});
  report.ended.push_back({{{JobId{1}, 3}, 1, list("0"), 0}, to_columns({ok}), blob(3)});
  capnp::MallocMessageBuilder message;
  write_report(report, message.initRoot<schema::ReportBatch>());
  const Result<ReportBatch> read = read_report(message.getRoot<schema::ReportBatch>().asReader());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().ended, report.ended);

  const std::vector<EndOrder> orders{
      {{{JobId{1}, 2}, 3, list("4-5"), 0}, Outcome::kWithdrawn, Duration(99)}};
  capnp::MallocMessageBuilder other;
  auto out = other.initRoot<capnp::AnyPointer>().initAs<capnp::List<schema::EndOrder>>(1);
  write_end_orders(orders, out);
  const auto got = read_end_orders(out.asReader());
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got.value()[0].runs, orders[0].runs);
  EXPECT_EQ(got.value()[0].why, Outcome::kWithdrawn);
  EXPECT_EQ(got.value()[0].grace, Duration(99));
}

// Writes a good set, lets `spoil` at it, and says whether it is still taken.
template <typename Spoil>
bool is_taken(Spoil spoil) {
  capnp::MallocMessageBuilder message;
  auto set = message.initRoot<schema::StartSet>();
  write_start_set(start_batch().sets[0], set);
  spoil(set);
  return read_start_set(set.asReader()).ok();
}

TEST(AgentCodec, RefusesWhatCouldNotBeStarted) {
  using Set = schema::StartSet::Builder;
  EXPECT_TRUE(is_taken([](Set) {}));
  EXPECT_FALSE(is_taken([](Set set) { set.getSpec().getProgram().initArgv(0); }));
  EXPECT_FALSE(is_taken([](Set set) { set.getSpec().initIndices(0); }));
  EXPECT_FALSE(is_taken([](Set set) { set.getSpec().getIndices()[0].setStep(0); }));
  EXPECT_FALSE(is_taken([](Set set) { set.getRuns().getIndices()[0].setFirst(kIndexLimit); }));
  EXPECT_FALSE(is_taken([](Set set) { set.initInputs(1); }));
  EXPECT_FALSE(is_taken([](Set set) { set.getSpec().getInputs().getLines().setChunk(0); }));
  EXPECT_FALSE(
      is_taken([](Set set) { set.getSpec().getInputs().getLines().getData().initHash(31); }));
  EXPECT_FALSE(is_taken(
      [](Set set) { set.getSpec().getProgram().getArgv().set(1, kj::StringPtr("a\0b", 3)); }));
  EXPECT_FALSE(
      is_taken([](Set set) { set.getSpec().getProgram().getEnvironment()[0].setName("A=B"); }));
}

TEST(AgentCodec, KeepsAStageAsBytesAndSurvivesDamage) {
  const StartSet set = start_batch().sets[0];
  const std::string bytes = stage_to_bytes(set);
  const Result<StartSet> read = stage_from_bytes(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read.value().spec, *set.spec);
  EXPECT_EQ(read.value().runs.stage, set.runs.stage);
  EXPECT_TRUE(read.value().runs.indices.empty());
  Random random(3);
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = bytes;
    damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    damaged.resize(random.below(damaged.size() + 1));
    (void)stage_from_bytes(damaged).ok();
  }
}

}  // namespace
}  // namespace leat::agent
