#include "scheduler/blob_sweep.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "schema/data.capnp.h"
#include "tests/engine/fakes.h"
#include "transport/session.h"

namespace leat::scheduler {
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// Remembers what it is to keep.
class FakeStore final : public schema::BlobServer::Server {
 public:
  explicit FakeStore(std::set<std::string>& kept) : kept_(kept) {}

  kj::Promise<void> keepInputs(KeepInputsContext context) override {
    const auto params = context.getParams();
    for (const auto hash : params.getHashes())
      kept_.emplace(hash.asChars().begin(), hash.asChars().size());
    context.getResults().setDeleted(params.getLast() ? 7 : 0);
    return kj::READY_NOW;
  }

  // Nothing but what it is to keep, and for those with the ticket.
  kj::Promise<void> has(HasContext context) override {
    const auto asked = context.getParams();
    const auto hash = asked.getHash().asChars();
    const bool allowed = asked.getTicket() == kj::StringPtr("ticket").asBytes();
    context.getResults().setPresent(allowed && kept_.contains({hash.begin(), hash.size()}));
    return kj::READY_NOW;
  }

 private:
  std::set<std::string>& kept_;
};

#pragma GCC diagnostic pop

class BlobSweepTest : public testing::Test {
 protected:
  BlobSweepTest() { head.start(); }
  ~BlobSweepTest() noexcept override {}

  // A job whose tasks read the blob of this name.
  JobId submit(const std::string& hash) {
    store::SpecMessage message(1);
    auto blob = message.stage().initInputs().initStandardInput();
    blob.setHash(kj::arrayPtr(hash.data(), hash.size()).asBytes());
    blob.setLength(5);
    const auto answer = head.ask(core::Submit{hash, {}, message.read().value()});
    return std::get<JobId>(answer.value());
  }

  void let_in() {
    auto pipe = kj::newTwoWayPipe();
    session = std::make_unique<transport::Session>(
        kj::mv(pipe.ends[0]), transport::Session::Side::kAccepted,
        schema::BlobServer::Client(kj::heap<FakeStore>(kept)), transport::kDataServerLimits);
    connecting->fulfill(kj::mv(pipe.ends[1]));
    head.settle();
  }

  using Stream = kj::Own<kj::AsyncIoStream>;
  const std::string first = std::string(32, '1');
  const std::string second = std::string(32, '2');
  engine::FakeHead head;
  std::set<std::string> kept;
  std::unique_ptr<transport::Session> session;
  kj::Own<kj::PromiseFulfiller<Stream>> connecting;
  BlobSweep sweep{{.engine = head.engine,
                   .timer = head.timer,
                   .connect =
                       [this] {
                         auto paf = kj::newPromiseAndFulfiller<Stream>();
                         connecting = kj::mv(paf.fulfiller);
                         return kj::mv(paf.promise);
                       },
                   .ticket = [] { return std::string("ticket"); },
                   .log = [](std::string_view) {}}};
};

TEST_F(BlobSweepTest, NamesTheInputsOfActiveJobs) {
  submit(first);
  ASSERT_TRUE(head.ask(core::Cancel{"c", {}, submit(second), 0, {}}).ok());
  auto round = sweep.sweep();
  head.settle();
  let_in();
  ASSERT_TRUE(round.poll(head.scope));
  EXPECT_EQ(round.wait(head.scope), 7u);
  EXPECT_EQ(kept, std::set<std::string>{first});
}

TEST_F(BlobSweepTest, NamesThoseOfAJobThatCameMeanwhile) {
  submit(first);
  auto round = sweep.sweep();
  head.settle();
  submit(second);
  let_in();
  ASSERT_TRUE(round.poll(head.scope));
  round.wait(head.scope);
  EXPECT_EQ(kept, (std::set<std::string>{first, second}));
}

TEST_F(BlobSweepTest, TellsWhetherTheInputsOfAJobAreThere) {
  const core::JobSpec with_one = *head.engine.state().job(submit(first))->spec;
  for (const bool there : {true, false}) {
    kept = {there ? first : second};
    auto answer = sweep.has_inputs(with_one);
    head.settle();
    let_in();
    ASSERT_TRUE(answer.poll(head.scope));
    EXPECT_EQ(answer.wait(head.scope).value(), there);
  }
  auto none = sweep.has_inputs(store::sweep_spec(1));
  ASSERT_TRUE(none.poll(head.scope));
  EXPECT_TRUE(none.wait(head.scope).value());
}

TEST_F(BlobSweepTest, DoesNotWaitForEverForAnAnswer) {
  auto answer = sweep.has_inputs(*head.engine.state().job(submit(first))->spec);
  head.settle();
  EXPECT_FALSE(answer.poll(head.scope));
  head.timer.advanceTo(head.timer.now() + kAskDeadline);
  ASSERT_TRUE(answer.poll(head.scope));
  EXPECT_EQ(answer.wait(head.scope).refusal().reason, Reason::kOverloaded);
}

}  // namespace
}  // namespace leat::scheduler
