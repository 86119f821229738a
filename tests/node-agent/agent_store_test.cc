// A real agent and a real leat-store (in this process): inputs, results, and outputs that outlive
// the node.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <kj/compat/tls.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "node-agent/line_source.h"
#include "store-server/connections.h"
#include "store-server/output_store.h"
#include "tests/node-agent/agent_world.h"
#include "transport/tls.h"

namespace leat::agent {
namespace {

using transport::Peer;
using transport::Ticket;

constexpr JobId kJob{17};
const Peer kUser{Peer::Kind::kUser, {}, 7};

RunId run(Index index, StageId stage = 0) {
  return run_id({kJob, stage}, 1, index);
}

constexpr std::uint64_t kQuota = 1u << 30;

// leat-store on the world's loop and under its authority.
struct Store {
  explicit Store(AgentWorld& its_world)
      : world(its_world),
        blobs(std::move(blobs::BlobStore::open(world.scratch.path("blobs"), kQuota)).value()),
        outputs(std::move(blobs::OutputStore::open(world.scratch.path("outputs"), blobs->room()))
                    .value()),
        sync_thread(*blobs, world.io.unixEventPort),
        service({*blobs, *outputs, sync_thread},
                transport::TicketVerifier(world.signer.public_key()), world.io.provider->getTimer(),
                kj::systemPreciseCalendarClock()),
        connections(service),
        context(transport::make_context(
            world.authority.issue({Peer::Kind::kStore, {}, 0}, std::time(nullptr)),
            world.io.provider->getTimer())) {
    listen("127.0.0.1:0");
    world.store_address = "127.0.0.1:" + std::to_string(listener->port());
  }

  void listen(const std::string& address) {
    auto opened = transport::TlsListener::open(
        world.io.provider->getNetwork(), world.io.provider->getTimer(), address, *context,
        [this](Peer peer, kj::Own<kj::AsyncIoStream> stream) {
          connections.accept(peer, kj::mv(stream));
        });
    ASSERT_TRUE(opened.ok()) << opened.refusal().message;
    listener = std::move(opened).value();
  }

  // As if a user had uploaded it.
  BlobRef put(const std::string& bytes) {
    auto incoming = std::move(blobs->begin(bytes.size(), {blobs::Kind::kInput, {}})).value();
    EXPECT_TRUE(incoming->append(std::as_bytes(std::span(bytes))).ok());
    const auto sealed = incoming->seal();
    blobs->settle(sealed.value(), blobs->make_durable(sealed.value()));
    return {sealed.value().blob.hash, sealed.value().blob.length};
  }

  std::string get(const BlobRef& blob) {
    std::string bytes(blob.length, '\0');
    EXPECT_TRUE(blobs->read(blob.hash, 0, std::as_writable_bytes(std::span(bytes))).ok());
    return bytes;
  }

  AgentWorld& world;
  std::unique_ptr<blobs::BlobStore> blobs;
  std::unique_ptr<blobs::OutputStore> outputs;
  blobs::SyncThread sync_thread;
  blobs::BlobService service;
  blobs::Connections connections;
  kj::Own<kj::TlsContext> context;
  kj::Own<transport::TlsListener> listener;
};

struct StoreTest : testing::Test {
  ~StoreTest() noexcept override {}

  void join() {
    world.output_ticket = ticket(Ticket::Right::kWrite, JobId{});
    world.give_credentials();
    world.start_agent();
    world.wait_for_join();
  }

  std::string ticket(Ticket::Right right, JobId job = kJob) const {
    Ticket ticket;
    ticket.right = right;
    ticket.job = job;
    ticket.reader = "agent:3:9";
    ticket.expires_wall_s = std::time(nullptr) + 60;
    return world.signer.sign(ticket).value();
  }

  // A stage whose tasks are the pieces of `text` that end at `ends`.
  StartSet lines(const std::string& script, const std::string& text,
                 const std::vector<std::size_t>& ends, Inputs::Use use) {
    StartSet set = world.stage_set(kJob, {"/bin/sh", "-c", script, "sh", "{}", "{n}"},
                                   "0-" + std::to_string(ends.size() - 1));
    StageSpec spec = *set.spec;
    std::string table(8, '\0');
    for (const std::size_t end : ends)
      for (int i = 0; i < 8; ++i) table += static_cast<char>(end >> (8 * i) & 0xff);
    spec.inputs.kind = Inputs::Kind::kLines;
    spec.inputs.data = store.put(text);
    spec.inputs.offsets = store.put(table);
    spec.inputs.lines = ends.size();
    spec.inputs.use = use;
    set.spec = std::make_shared<const StageSpec>(spec);
    set.store_ticket = ticket(Ticket::Right::kRead);
    return set;
  }

  std::string output(const RunId& of) {
    Ticket reading;
    reading.job = of.job;
    reading.stage = of.stage;
    reading.reader = "user:7";
    reading.expires_wall_s = std::time(nullptr) + 60;
    const auto answer = world.read(kUser, world.signer.sign(reading).value(), of);
    return answer.refusal.empty() ? answer.data : "refused: " + answer.refusal;
  }

  void wait_for(std::size_t runs) {
    world.wait_until([this, runs]() { return world.reported.size() == runs; });
  }

  void evacuate() {
    auto request = world.agent->evacuateRequest();
    request.setHeadEpoch(world.head_epoch.value);
    request.send().ignoreResult().wait(world.io.waitScope);
  }

  std::string stored(const RunId& of, spool::Stream stream = spool::Stream::kOutput) {
    const auto piece = store.outputs->read(world.node, of, stream, 0, 1000);
    return piece.ok() ? piece.value().data : "refused: " + piece.refusal().message;
  }

  AgentWorld world;
  Store store{world};
};

TEST_F(StoreTest, FeedsEachTaskItsLines) {
  join();
  const std::string large(kLineBytesAtOnce + 17, 'x');
  world.start(lines("echo \"[$LEAT_ENTRY] $1\"; wc -c", "one\n\nthree" + large,
                    {4, 5, 10 + large.size()}, Inputs::Use::kStream));
  wait_for(3);
  EXPECT_EQ(output(run(0)), "[one] {}\n4\n");
  EXPECT_EQ(output(run(1)), "[] {}\n1\n");
  EXPECT_EQ(output(run(2)), "[] {}\n" + std::to_string(5 + large.size()) + "\n");
  EXPECT_TRUE(std::filesystem::is_empty(world.directory + "/inputs"));
}

TEST_F(StoreTest, GivesATaskTheNameOfItsFile) {
  join();
  world.start(lines("echo \"$LEAT_INPUT|$1|$2\"; cat", "/a b/oneTWO", {8, 11}, Inputs::Use::kFile));
  wait_for(2);
  EXPECT_EQ(output(run(0)), "/a b/one|/a b/one|{n}\n");
  EXPECT_EQ(output(run(1)), "TWO|TWO|{n}\n");
}

TEST_F(StoreTest, GivesATaskTheFieldsOfItsObject) {
  join();
  const std::string text = "{\"n\": 5}\n\n{\"n\": \"it's\"}";
  world.start(
      lines("echo \"$1|$2|$LEAT_INPUT\"; cat", text, {10, text.size()}, Inputs::Use::kObject));
  wait_for(2);
  // The blank line stands in the text, and between the objects: it is the first one's.
  EXPECT_EQ(output(run(0)), "{}|5|{\"n\": 5}\n\n{\"n\": 5}\n\n");
  EXPECT_EQ(output(run(1)), "{}|it's|{\"n\": \"it's\"}\n{\"n\": \"it's\"}");
}

TEST_F(StoreTest, FetchesTheStandardInputOfAllTasksOnce) {
  join();
  StartSet set = world.stage_set(kJob, {"/bin/sh", "-c", "cat; pwd > /dev/null"}, "0-9");
  StageSpec spec = *set.spec;
  const std::string bytes(300'000, 'y');
  spec.inputs.standard_input = store.put(bytes);
  set.spec = std::make_shared<const StageSpec>(spec);
  set.store_ticket = ticket(Ticket::Right::kRead);
  world.start(set);
  wait_for(10);
  for (Index i = 0; i < 10; ++i) EXPECT_EQ(world.told(run(i))->result.output_bytes, 300'000);
  EXPECT_EQ(output(run(9)), bytes);
  // It goes with the job.
  auto release = world.agent->releaseRequest();
  release.setHeadEpoch(world.head_epoch.value);
  release.setJobs({kJob.value});
  release.send().ignoreResult().wait(world.io.waitScope);
  world.start(world.stage_set(JobId{18}, {"/bin/true"}, "0"));
  wait_for(11);
  EXPECT_TRUE(std::filesystem::is_empty(world.directory + "/inputs"));
}

TEST_F(StoreTest, DoesNotStartWhatHasAnInputThatIsNowhere) {
  join();
  StartSet set = lines("cat", "one", {3}, Inputs::Use::kStream);
  StageSpec spec = *set.spec;
  spec.inputs.data.hash[0] ^= std::byte{1};
  set.spec = std::make_shared<const StageSpec>(spec);
  world.start(set);
  wait_for(1);
  EXPECT_EQ(world.told(run(0))->result.outcome, Outcome::kCouldNotStart);
  EXPECT_EQ(world.told(run(0))->result.code, ENOENT);
}

TEST_F(StoreTest, SaysThatAnInputCannotBeFetchedNow) {
  join();
  StartSet set = lines("cat", "one", {3}, Inputs::Use::kStream);
  set.store_ticket = "no ticket";
  world.start(set);
  wait_for(1);
  EXPECT_EQ(world.told(run(0))->result.outcome, Outcome::kInputLost);
}

TEST_F(StoreTest, StoresAResultThatWasMadeOfLines) {
  join();
  StartSet set = lines("cat; echo end", "line\n", {5}, Inputs::Use::kStream);
  // One right to write the result, and one to read the line.
  set.input_ticket = std::move(set.store_ticket);
  set.store_ticket = ticket(Ticket::Right::kWrite);
  set.is_result = true;
  world.start(set);
  wait_for(1);
  const Told* told = world.told(run(0));
  EXPECT_EQ(told->result.outcome, Outcome::kExit);
  ASSERT_TRUE(told->stored.has_value());
  EXPECT_EQ(store.get(*told->stored), "line\nend\n");
  EXPECT_EQ(store.blobs->drop_inputs({}, std::time(nullptr) + 1000, std::time(nullptr)), 2u);
  EXPECT_EQ(store.get(*told->stored), "line\nend\n") << "a result stays";
}

TEST_F(StoreTest, DoesNotStoreTheResultOfATaskThatFailed) {
  join();
  StartSet set = world.stage_set(kJob, {"/bin/sh", "-c", "echo half; exit 3"}, "0");
  set.is_result = true;
  set.store_ticket = ticket(Ticket::Right::kWrite);
  world.start(set);
  wait_for(1);
  EXPECT_FALSE(world.told(run(0))->stored.has_value());
  EXPECT_EQ(world.told(run(0))->result.code, 3);
  EXPECT_EQ(store.blobs->usage().blobs, 0u);
}

TEST_F(StoreTest, BringsItsOutputsWhenTheHeadAsks) {
  join();
  world.start(world.stage_set(
      kJob,
      {"/bin/sh", "-c", "echo out-$LEAT_TASK_INDEX; [ $LEAT_TASK_INDEX = 2 ] || echo err >&2"},
      "0-5"));
  world.start(world.stage_set(JobId{18}, {"/bin/true"}, "0"));
  wait_for(7);
  evacuate();
  world.wait_until([this]() { return world.evacuated.size() == 1; });
  EXPECT_GT(std::stoull(world.evacuated[0]), 50u);
  for (Index i = 0; i < 6; ++i) EXPECT_EQ(stored(run(i)), "out-" + std::to_string(i) + "\n");
  EXPECT_EQ(stored(run(1), spool::Stream::kError), "err\n");
  EXPECT_EQ(stored(run(2), spool::Stream::kError), "");
  EXPECT_EQ(stored(run_id({JobId{18}, 0}, 1, 0)), "") << "known to have written nothing";
  // Asked once more, also after something else ran.
  evacuate();
  world.wait_until([this]() { return world.evacuated.size() == 2; });
  world.start(world.stage_set(JobId{19}, {"/bin/echo", "late"}, "0"));
  wait_for(8);
  evacuate();
  world.wait_until([this]() { return world.evacuated.size() == 3; });
  EXPECT_EQ(stored(run_id({JobId{19}, 0}, 1, 0)), "late\n");
  EXPECT_EQ(stored(run(3)), "out-3\n");
}

TEST_F(StoreTest, WaitsForWhatStillRunsBeforeItBringsItsOutputs) {
  join();
  const std::string path = world.scratch.path("gate");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int gate = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  world.start(world.stage_set(kJob, {"/bin/sh", "-c", "read x < " + path + "; echo late"}, "0"));
  evacuate();
  EXPECT_TRUE(world.evacuated.empty());
  EXPECT_EQ(::write(gate, "go\n", 3), 3);
  world.wait_until([this]() { return world.evacuated.size() == 1; });
  EXPECT_EQ(stored(run(0)), "late\n");
  ::close(gate);
}

TEST_F(StoreTest, GoesOnBringingWhenTheStoreComesBack) {
  join();
  world.start(world.stage_set(kJob, {"/bin/echo", "out"}, "0"));
  wait_for(1);
  const std::string address = world.store_address;
  store.listener = nullptr;
  evacuate();
  store.listen(address);
  world.wait_until([this]() { return world.evacuated.size() == 1; });
  EXPECT_EQ(stored(run(0)), "out\n");
}

TEST_F(StoreTest, BringsItsOutputsWhenItIsStopped) {
  join();
  world.start(world.stage_set(kJob, {"/bin/echo", "out"}, "0"));
  wait_for(1);
  auto request = world.agent->stopRequest();
  request.setHeadEpoch(world.head_epoch.value);
  request.send().ignoreResult().wait(world.io.waitScope);
  EXPECT_EQ(world.agent_exit(), 0);
  EXPECT_EQ(stored(run(0)), "out\n");
}

TEST_F(StoreTest, BringsItsOutputsWhenItIsGivenUpForGood) {
  join();
  world.start(world.stage_set(kJob, {"/bin/echo", "out"}, "0"));
  wait_for(1);
  world.refuse_with = "node 3 was given up";
  world.hang_up();
  EXPECT_EQ(world.agent_exit(), 4);
  EXPECT_EQ(stored(run(0)), "out\n");
}

// The head gave its right to bring outputs to an earlier life of the agent.
TEST_F(StoreTest, BringsItsOutputsWhenItIsGivenUpBeforeItHasJoinedAgain) {
  join();
  world.start(world.stage_set(kJob, {"/bin/echo", "out"}, "0"));
  wait_for(1);
  world.kill_agent();
  world.refuse_with = "node 3 was given up";
  world.start_agent();
  EXPECT_EQ(world.agent_exit(), 4);
  EXPECT_EQ(world.joins, 1);
  EXPECT_EQ(stored(run(0)), "out\n");
}

TEST_F(StoreTest, HasNothingToBringBeforeItsFirstJoin) {
  world.give_credentials();
  world.refuse_with = "node 3 was given up";
  world.start_agent();
  EXPECT_EQ(world.agent_exit(), 4);
  EXPECT_EQ(world.agent_log().find("not in leat-store"), std::string::npos) << world.agent_log();
}

TEST_F(StoreTest, PutsOutputsIntoADirectoryToo) {
  join();
  const std::string out = world.scratch.path("out");
  ASSERT_EQ(::mkdir(out.c_str(), 0700), 0);
  const auto set_of = [&](JobId job, const std::string& directory) {
    StartSet set = world.stage_set(job, {"/bin/sh", "-c", "echo out; echo err >&2; exit 4"}, "0-3");
    StageSpec spec = *set.spec;
    spec.program.output_directory = directory;
    set.spec = std::make_shared<const StageSpec>(spec);
    return set;
  };
  world.start(set_of(kJob, out));
  world.start(set_of(JobId{18}, out + "/none"));
  wait_for(8);
  for (Index i = 0; i < 4; ++i) {
    const std::string name = out + "/17." + std::to_string(i);
    EXPECT_EQ(content_of(name + ".out"), "out\n");
    EXPECT_EQ(content_of(name + ".err"), "err\n");
    EXPECT_EQ(world.told(run(i))->result.code, 4);
    EXPECT_EQ(output(run(i)), "out\n") << "the spool has it all the same";
    const RunResult& other = world.told(run_id({JobId{18}, 0}, 1, i))->result;
    EXPECT_EQ(other.outcome, Outcome::kCouldNotStart);
    EXPECT_EQ(other.code, ENOENT);
  }
}

}  // namespace
}  // namespace leat::agent
