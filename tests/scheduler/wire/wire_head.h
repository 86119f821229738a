#pragma once

// wire_head.h - the faces of a head over pipes, with a fake store and no clock.

#include <gtest/gtest.h>
#include <kj/async-io.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
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

struct WireHead {
  explicit WireHead(store::Recovered recovered = engine::nothing_recovered(),
                    store::MemoryFile file = {})
      : head(std::move(recovered), std::move(file)) {
    head.sink.forward = [this](const core::Effect& effect) {
      links.carry_out(effect);
      if (const auto* changed = std::get_if<core::JobChanged>(&effect)) {
        const core::Job* job = head.engine.state().job(changed->job);
        progress.changed(changed->job, head.engine.sequence(), job == nullptr || !job->active());
      } else if (const auto* gone = std::get_if<core::DeleteNode>(&effect)) {
        gone_nodes.note(gone->node, std::int64_t{kWallSeconds} * 1'000'000);
      }
    };
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
  GoneNodes gone_nodes;
  int pools_changed = 0;
  bool shut_down = false;
  Services services{.engine = head.engine,
                    .store = head.store,
                    .progress = progress,
                    .links = links,
                    .tickets = tickets,
                    .gone = gone_nodes,
                    .clock = [this] { return head.now; },
                    .wall_us = [] { return std::int64_t{kWallSeconds} * 1'000'000; },
                    .blob_store =
                        [] {
                          return BlobStore{"127.0.0.1:7", 77};
                        },
                    .pools_changed = [this] { ++pools_changed; },
                    .shut_down =
                        [this] {
                          shut_down = true;
                          return kj::Promise<void>(kj::READY_NOW);
                        },
                    .agent_bytes_in = [this] { return agents.bytes_in(); },
                    .agent_bytes_out = [this] { return agents.bytes_out(); },
                    .log = [](std::string_view) {},
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
