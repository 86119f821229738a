#pragma once

// link_world.h - a head with real links, and agents that only listen.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "scheduler/engine/agent_link.h"
#include "scheduler/store/value_codec.h"
#include "tests/engine/fakes.h"

namespace leat::engine {

// Cap'n Proto's servers have no virtual destructor: kj::Own remembers how to destroy them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// What came, in the order in which it came.
struct Heard {
  struct Start {
    std::uint64_t session = 0;
    std::uint64_t sequence = 0;
    std::uint64_t head_epoch = 0;
    std::uint64_t runs = 0;
    std::vector<core::RunSet> sets;
    std::vector<bool> has_spec;
    std::vector<std::vector<std::size_t>> parts;  // per set and run
    std::vector<std::string> addresses;           // of all parts
    std::vector<bool> has_store_ticket;
    std::vector<bool> is_result;
    // "MEMBER of NODES at ADDRESS", of gangs.
    std::vector<std::string> gangs;
  };
  struct End {
    core::RunSet runs;
    schema::Outcome why{};
  };
  std::vector<Start> starts;
  std::vector<End> ends;
  std::vector<std::uint64_t> released;
  std::vector<std::uint64_t> withdrawn;
  int pings = 0;
  int stops = 0;
  std::string hub;  // where the first members of gangs are, if they are here
  bool hold_starts = false;
  bool hold_pings = false;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> held;
};

class FakeAgent final : public schema::Agent::Server {
 public:
  explicit FakeAgent(Heard& heard) : heard_(heard) {}

  kj::Promise<void> start(StartContext context) override {
    const auto batch = context.getParams().getBatch();
    Heard::Start said{batch.getSession(),
                      batch.getSequence(),
                      batch.getHeadEpoch(),
                      0,
                      {},
                      {},
                      {},
                      {},
                      {},
                      {},
                      {}};
    for (const auto set : batch.getSets()) {
      said.sets.push_back(store::read_run_set(set.getRuns()).value());
      said.runs += said.sets.back().indices.size();
      said.has_spec.push_back(set.hasSpec());
      said.has_store_ticket.push_back(set.getStoreTicket().size() > 0);
      said.is_result.push_back(set.getIsResult());
      said.parts.emplace_back();
      for (const auto task : set.getInputs()) {
        said.parts.back().push_back(task.getParts().size());
        for (const auto part : task.getParts()) said.addresses.push_back(part.getAddress().cStr());
      }
    }
    for (const auto set : batch.getSets())
      if (set.hasGang())
        said.gangs.push_back(std::to_string(set.getGang().getMember()) + " of " +
                             std::to_string(set.getGang().getNodes().size()) + " at " +
                             set.getGang().getHub().getAddress().cStr());
    if (!heard_.hub.empty()) {
      const core::RunSet& runs = said.sets.front();
      auto begun = context.getResults().initHubs(1)[0];
      begun.getRun().setJob(runs.stage.job.value);
      begun.getRun().setAttempt(runs.attempt);
      begun.getRun().setIndex(runs.indices.at(0));
      begun.initHub().setAddress(heard_.hub);
    }
    heard_.starts.push_back(std::move(said));
    if (!heard_.hold_starts) return kj::READY_NOW;
    auto paf = kj::newPromiseAndFulfiller<void>();
    heard_.held.push_back(kj::mv(paf.fulfiller));
    return kj::mv(paf.promise);
  }
  kj::Promise<void> end(EndContext context) override {
    for (const auto order : context.getParams().getOrders())
      heard_.ends.push_back({store::read_run_set(order.getRuns()).value(), order.getWhy()});
    return kj::READY_NOW;
  }
  kj::Promise<void> withdraw(WithdrawContext context) override {
    heard_.withdrawn.push_back(context.getParams().getCount());
    return kj::READY_NOW;
  }
  kj::Promise<void> release(ReleaseContext context) override {
    for (const std::uint64_t job : context.getParams().getJobs()) heard_.released.push_back(job);
    return kj::READY_NOW;
  }
  kj::Promise<void> stop(StopContext) override {
    ++heard_.stops;
    return kj::READY_NOW;
  }
  kj::Promise<void> ping(PingContext) override {
    ++heard_.pings;
    return heard_.hold_pings ? kj::Promise<void>(kj::NEVER_DONE) : kj::READY_NOW;
  }

 private:
  Heard& heard_;
};

struct TempDirectory {
  TempDirectory() {
    char name[] = "/var/tmp/leat-engine-test-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TempDirectory() { std::filesystem::remove_all(path); }
  std::string path;
};

// A head with real links, and agents that only listen.
struct Links {
  Links() {
    head.sink.forward = [this](const core::Effect& effect) { links.carry_out(effect); };
    head.start();
  }

  NodeRef node() {
    if (!pool) pool = head.pool(100);
    return head.request_node(pool);
  }

  // Joins and opens a session with a fresh agent.
  std::uint64_t join(NodeRef node, Heard& heard, std::uint32_t cores = 4,
                     const std::vector<core::RunSet>& live = {}) {
    const std::uint64_t session = head.join(node, cores);
    EXPECT_TRUE(links.open(node, session, schema::Agent::Client(kj::heap<FakeAgent>(heard)), live,
                           [this] { ++hung_up; }));
    head.settle();
    return session;
  }

  void report(NodeRef node, std::uint64_t session, const core::RunSet& runs) {
    EXPECT_TRUE(head.ask(core::ReportEnded{node, session, {{runs, {}, std::nullopt}}}).ok());
  }

  void pass(kj::Duration span) {
    for (; span > 0 * kj::SECONDS; span -= 100 * kj::MILLISECONDS) {
      head.timer.advanceTo(head.timer.now() + 100 * kj::MILLISECONDS);
      head.settle();
    }
  }

  TempDirectory directory;
  transport::TicketSigner signer = transport::TicketSigner::open(directory.path).value();
  FakeHead head;
  TicketOffice tickets{signer, [] { return transport::WallSeconds{1'000'000}; }};
  AgentLinks links{LinkServices{head.engine, head.timer, tickets, [](std::string_view) {}}};
  PoolId pool;
  int hung_up = 0;
};

inline core::NodeState state_of(const Links& world, NodeRef node) {
  return world.head.engine.state().node(node)->state;
}

#pragma GCC diagnostic pop

}  // namespace leat::engine
