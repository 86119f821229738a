#pragma once

// wire_head.h - the faces of a head over pipes, with a fake store and no clock.

#include <gtest/gtest.h>
#include <kj/async-io.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/wire/agent_server.h"
#include "scheduler/wire/enrolment_desk.h"
#include "scheduler/wire/scheduler_server.h"
#include "scheduler/wire/services.h"
#include "schema/agent.capnp.h"
#include "schema/scheduler.capnp.h"
#include "tests/engine/fakes.h"
#include "transport/session.h"

namespace leat::wire {

struct PrivateDirectory {
  PrivateDirectory() {
    char name[] = "/var/tmp/leat-wire-test-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~PrivateDirectory() { std::filesystem::remove_all(path); }
  std::string path;
};

inline constexpr std::uint32_t kUid = 1000;
inline constexpr transport::WallSeconds kWallSeconds = 1'700'000'000;

// Turns of the fake store's file; copies and prunings that are only noted.
class FakeArchive final : public store::Archive {
 public:
  explicit FakeArchive(engine::FakeStore& store) : store_(store) {}

  kj::Promise<store::StoredTurns> find_turns(std::uint64_t from) override {
    store::StoredTurns found;
    const auto& turns = store_.file().turns();
    if (!turns.empty()) found.oldest = turns.begin()->first;
    for (auto at = turns.lower_bound(from); at != turns.end(); ++at)
      if (found.turns.size() < kTurnsMax) found.turns.push_back({at->first, at->second});
    return found;
  }
  kj::Promise<Result<Done>> copy_history(std::string) override {
    return refusal ? Result<Done>(*refusal) : Result<Done>(Done{});
  }
  kj::Promise<Result<store::Pruned>> prune_history(store::Prune prune) override {
    pruned = std::move(prune);
    return Result<store::Pruned>(store::Pruned{.jobs = 3, .runs = 4, .others = 5});
  }

  std::optional<Refusal> refusal;
  std::optional<store::Prune> pruned;

 private:
  engine::FakeStore& store_;
};

struct WireHead {
  explicit WireHead(store::Recovered recovered = engine::nothing_recovered(),
                    store::MemoryFile file = {})
      : head(std::move(recovered), std::move(file)) {
    head.sink.forward = [this](const core::Effect& effect) {
      links.carry_out(effect);
      if (const auto* changed = std::get_if<core::JobChanged>(&effect)) {
        const core::Job* job = head.engine.state().job(changed->job);
        progress.changed(changed->job, head.engine.sequence(), job == nullptr || !job->active());
        if (job == nullptr || !job->active()) board.forget(changed->job);
      } else if (const auto* gone = std::get_if<core::DeleteNode>(&effect)) {
        gone_nodes.note(gone->node, std::int64_t{kWallSeconds} * 1'000'000);
      }
    };
    head.engine.on_commit([this](std::uint64_t sequence) { pulse.beat(sequence); });
    head.start();
  }

  // A user's connection.
  schema::Scheduler::Client user(std::uint32_t uid = kUid) {
    auto pipe = kj::newTwoWayPipe();
    users.accept({transport::Peer::Kind::kUser, {}, uid}, kj::mv(pipe.ends[0]));
    clients.push_back(std::make_unique<transport::Session>(kj::mv(pipe.ends[1]),
                                                           transport::Session::Side::kConnected,
                                                           nullptr, transport::kAgentLimits));
    return clients.back()->peer().castAs<schema::Scheduler>();
  }

  // A connection of whoever the certificate names.
  schema::AgentGate::Client gate(const transport::Peer& peer) {
    auto pipe = kj::newTwoWayPipe();
    agents.accept(peer, kj::mv(pipe.ends[0]));
    clients.push_back(std::make_unique<transport::Session>(kj::mv(pipe.ends[1]),
                                                           transport::Session::Side::kConnected,
                                                           nullptr, transport::kAgentLimits));
    return clients.back()->peer().castAs<schema::AgentGate>();
  }
  schema::AgentGate::Client gate(NodeRef node) {
    return gate({transport::Peer::Kind::kAgent, node, 0});
  }

  // Sends, lets the head work, and takes the answer.
  template <typename Request>
  auto call(Request&& request) {
    auto promise = request.send();
    head.settle();
    EXPECT_TRUE(promise.poll(head.scope)) << "not answered";
    return promise.wait(head.scope);
  }

  void pass(kj::Duration span) {
    head.timer.advanceTo(head.timer.now() + span);
    head.settle();
  }

  PrivateDirectory directory;
  transport::TicketSigner signer = transport::TicketSigner::open(directory.path).value();
  engine::FakeHead head;
  engine::TicketOffice tickets{signer, [] { return kWallSeconds; }};
  engine::AgentLinks links{
      engine::LinkServices{head.engine, head.timer, tickets, [](std::string_view) {}}};
  engine::Progress progress{head.timer, head.engine.sequence()};
  engine::Pulse pulse{head.timer, head.engine.sequence()};
  engine::TaskBoard board;
  FakeArchive archive{head.store};
  GoneNodes gone_nodes;
  int pools_changed = 0;
  Result<bool> inputs = true;  // whether they are there
  engine::TokenRequest token_request;
  bool shut_down = false;
  std::vector<std::string> said;  // in the log
  Services services{
      .engine = head.engine,
      .store = head.store,
      .archive = archive,
      .progress = progress,
      .board = board,
      .pulse = pulse,
      .links = links,
      .tickets = tickets,
      .gone = gone_nodes,
      .clock = [this] { return head.now; },
      .wall_us = [] { return std::int64_t{kWallSeconds} * 1'000'000; },
      .blob_store =
          [] {
            return BlobStore{"127.0.0.1:7", 77};
          },
      .has_inputs = [this](const core::JobSpec&) -> kj::Promise<Result<bool>> { return inputs; },
      .pools_changed = [this] { ++pools_changed; },
      .make_tokens =
          [this](engine::TokenRequest request) {
            using Tokens = std::vector<engine::TokenGiven>;
            token_request = std::move(request);
            const engine::TokenGiven token{NodeRef{NodeId{7}, NodeEpoch{8}}, "leat1.text", 9};
            return kj::Promise<Result<Tokens>>(Result<Tokens>(Tokens{token}));
          },
      .copy_path = [] { return std::string("/home/tmp/copy"); },
      .shut_down =
          [this] {
            shut_down = true;
            return kj::Promise<void>(kj::READY_NOW);
          },
      .agent_bytes_in = [this] { return agents.bytes_in(); },
      .agent_bytes_out = [this] { return agents.bytes_out(); },
      .log = [this](std::string_view line) { said.emplace_back(line); },
      .facts = {.version = "test",
                .cluster_id = "clusterclusterid",
                .host_name = "host",
                .agent_address = "127.0.0.1:1",
                .enrol_address = "127.0.0.1:2",
                .pid = 55,
                .started_us = 5}};
  AgentDoor agents{services, head.timer};
  UserDoor users{services};
  std::vector<std::unique_ptr<transport::Session>> clients;  // last: closed first
};

}  // namespace leat::wire
