#include "tests/cli/fake_pools.h"

namespace leat::cli {
namespace {

std::string text_of(schema::Farewell::Reader farewell) {
  static constexpr const char* kNames[] = {"refuse", "complete", "requeue"};
  std::string text = kNames[static_cast<unsigned>(farewell.getRunning())];
  if (farewell.getWithinUs() > 0) text += '+' + std::to_string(farewell.getWithinUs());
  return text;
}

std::string text_of(schema::PoolSpec::Reader spec) {
  std::string text = std::string(spec.getName().cStr()) + ' ' + spec.getProvider().cStr() + ' ' +
                     std::to_string(spec.getMin()) + '-' + std::to_string(spec.getMax()) +
                     " idle " + std::to_string(spec.getIdleTimeoutUs()) + " join " +
                     std::to_string(spec.getJoinDeadlineUs()) + " cores " +
                     std::to_string(spec.getShape().getMillicores()) + " gpus " +
                     std::to_string(spec.getShape().getGpus());
  for (const auto counter : spec.getShape().getCounters())
    text += std::string(" ") + counter.getName().cStr() + '=' + std::to_string(counter.getAmount());
  for (const capnp::Text::Reader label : spec.getLabels()) text += std::string(" #") + label.cStr();
  return text;
}

}  // namespace

void FakePools::answer(const std::string& wish, schema::Answer::Builder to) {
  world_.wishes.push_back(wish);
  if (world_.refuse) {
    world_.refuse(to.initRefusal());
    world_.refuse = nullptr;
  } else {
    to.setDone();
  }
}

kj::Promise<void> FakePools::pools(PoolsContext context) {
  auto pool = context.getResults().initPools(1)[0];
  pool.setId(2);
  auto spec = pool.initSpec();
  spec.setName("burst");
  spec.setProvider("local");
  spec.setMax(8);
  spec.setDeclared(true);
  spec.initShape().setMillicores(1000);
  pool.setState("paused");
  pool.setNodesUp(1);
  pool.setNodesComing(2);
  pool.setNodesLeaving(3);
  pool.setReason("node 5 did not join within 2m");
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::createPool(CreatePoolContext context) {
  const auto params = context.getParams();
  world_.keys_seen.push_back(params.getKey());
  answer("create " + text_of(params.getSpec()), context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::changePool(ChangePoolContext context) {
  const auto params = context.getParams();
  const schema::PoolChange::Reader change = params.getChange();
  answer("change " + std::string(params.getPool().cStr()) + ' ' + std::to_string(change.getMin()) +
             ' ' + std::to_string(change.getMax()) + ' ' +
             std::to_string(change.getIdleTimeoutUs()) + ' ' +
             std::to_string(change.getJoinDeadlineUs()) + ' ' + text_of(change.getFarewell()),
         context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::deletePool(DeletePoolContext context) {
  const auto params = context.getParams();
  answer("delete " + std::string(params.getPool().cStr()) + ' ' + text_of(params.getFarewell()),
         context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::planPool(PlanPoolContext context) {
  world_.wishes.push_back("plan " + text_of(context.getParams().getSpec()));
  auto plan = context.getResults().initPlan();
  plan.setHave(2);
  plan.setWanted(5);
  plan.initWhy(1).set(0, "requests 3 for 9 tasks that wait");
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::drainNode(DrainNodeContext context) {
  const auto params = context.getParams();
  answer("drain " + std::to_string(params.getNode()) + ' ' + text_of(params.getFarewell()),
         context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::resumeNode(ResumeNodeContext context) {
  answer("resume " + std::to_string(context.getParams().getNode()), context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::removeNode(RemoveNodeContext context) {
  const auto params = context.getParams();
  answer("remove " + std::to_string(params.getNode()) + ' ' + text_of(params.getFarewell()),
         context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> FakePools::makeTokens(MakeTokensContext context) {
  const auto params = context.getParams();
  world_.wishes.push_back("tokens " + std::string(params.getPool().cStr()) + ' ' +
                          std::to_string(params.getCount()) + ' ' +
                          std::to_string(params.getLifeUs()));
  if (world_.refuse) {
    world_.refuse(context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  auto tokens = context.getResults().initTokens(params.getCount());
  for (unsigned n = 0; n < tokens.size(); ++n) {
    tokens[n].setNode(7 + n);
    tokens[n].setText("leat1.secret" + std::to_string(n));
  }
  return kj::READY_NOW;
}

}  // namespace leat::cli
