#pragma once

// fake_pools.h - the part of the fake head that is asked about pools and nodes.

#include <string>

#include "schema/scheduler.capnp.h"
#include "tests/cli/fake_cluster.h"

namespace leat::cli {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// Writes every wish down in World::wishes, one line each, and grants it unless told to
// refuse, which it does once.
class FakePools : public FakeSeeing {
 public:
  explicit FakePools(FakeWorld& world) : FakeSeeing(world.sights), world_(world) {}

  kj::Promise<void> pools(PoolsContext context) override;
  kj::Promise<void> createPool(CreatePoolContext context) override;
  kj::Promise<void> changePool(ChangePoolContext context) override;
  kj::Promise<void> deletePool(DeletePoolContext context) override;
  kj::Promise<void> planPool(PlanPoolContext context) override;
  kj::Promise<void> drainNode(DrainNodeContext context) override;
  kj::Promise<void> resumeNode(ResumeNodeContext context) override;
  kj::Promise<void> removeNode(RemoveNodeContext context) override;
  kj::Promise<void> makeTokens(MakeTokensContext context) override;

 protected:
  FakeWorld& world_;  // NOLINT(cppcoreguidelines-non-private-member-variables-in-classes)

 private:
  void answer(const std::string& wish, schema::Answer::Builder to);
};

#pragma GCC diagnostic pop

}  // namespace leat::cli
