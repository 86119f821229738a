// scheduler_pools.cc - what users ask of pools and nodes: another size, other duties, tokens.

#include <utility>

#include "scheduler/core/demand.h"
#include "scheduler/store/spec_codec.h"
#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "scheduler/wire/scheduler_server.h"

namespace leat::wire {
namespace {

core::Farewell read_farewell(schema::Farewell::Reader from) {
  core::Farewell farewell;
  switch (from.getRunning()) {
    case schema::Farewell::Running::COMPLETE:
      farewell.running = core::Running::kComplete;
      break;
    case schema::Farewell::Running::REQUEUE:
      farewell.running = core::Running::kRequeue;
      break;
    case schema::Farewell::Running::REFUSE:
      break;
  }
  farewell.within = Duration(from.getWithinUs());
  return farewell;
}

std::optional<Duration> read_time(std::int64_t us) {
  return us < 0 ? std::nullopt : std::optional(Duration(us));
}

// Refused if it is beyond what a pool may have, whatever the core's limit is.
Result<std::optional<std::uint32_t>> read_bound(std::int64_t nodes) {
  if (nodes < 0) return std::optional<std::uint32_t>();
  if (nodes > core::kNodesPerPoolMax)
    return invalid("more than " + std::to_string(core::kNodesPerPoolMax) + " nodes in a pool");
  return std::optional(static_cast<std::uint32_t>(nodes));
}

// What a pool of this kind would come to; one that is there as it is.
core::PoolPlan plan_of(const core::State& state, const core::PoolSpec& spec, Time now) {
  const core::Pool* known = state.pool_named(spec.name);
  if (known == nullptr || known->spec != spec) return core::plan_for(state, spec, now);
  return core::plan_pools(state, now)[known->id];
}

void write_plan(const core::PoolPlan& plan, const core::PoolSpec& spec,
                schema::PlanResult::Plan::Builder to) {
  to.setHave(plan.have);
  to.setWanted(plan.have - plan.closing - plan.leaving - plan.deleting + plan.reopen + plan.grow);
  to.initWhy(1).set(0, store::text_of(core::text_of(plan, spec)));
}

}  // namespace

kj::Promise<void> SchedulerServer::post_wish(core::Command command, schema::Answer::Builder to) {
  return services_.engine.post(std::move(command))
      .then([this, to](const Result<core::Answer>& answer) mutable {
        if (answer.ok()) {
          to.setDone();
        } else {
          write_refusal(answer.refusal(), to.initRefusal());
        }
        services_.pools_changed();
      });
}

kj::Promise<void> SchedulerServer::createPool(CreatePoolContext context) {
  const auto params = context.getParams();
  Result<core::PoolSpec> spec = store::read_pool_spec(params.getSpec());
  if (!spec.ok()) {
    write_refusal(spec.refusal(), context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  core::SetPool wish{store::read_text(params.getKey()), user_, std::move(spec).value()};
  // Which job a pool is for is said by submitting, not by a wish of its own.
  wish.spec.for_job = {};
  return post_wish(std::move(wish), context.getResults());
}

kj::Promise<void> SchedulerServer::changePool(ChangePoolContext context) {
  const auto params = context.getParams();
  const schema::PoolChange::Reader change = params.getChange();
  const auto min = read_bound(change.getMin());
  const auto max = read_bound(change.getMax());
  for (const auto* bound : {&min, &max})
    if (!bound->ok()) {
      write_refusal(bound->refusal(), context.getResults().initRefusal());
      return kj::READY_NOW;
    }
  core::ChangePool wish;
  wish.key = store::read_text(params.getKey());
  wish.actor = user_;
  wish.pool = store::read_text(params.getPool());
  wish.min = min.value();
  wish.max = max.value();
  wish.idle_timeout = read_time(change.getIdleTimeoutUs());
  wish.join_deadline = read_time(change.getJoinDeadlineUs());
  wish.farewell = read_farewell(change.getFarewell());
  return post_wish(std::move(wish), context.getResults());
}

kj::Promise<void> SchedulerServer::deletePool(DeletePoolContext context) {
  const auto params = context.getParams();
  return post_wish(
      core::DeletePool{store::read_text(params.getKey()), user_, store::read_text(params.getPool()),
                       read_farewell(params.getFarewell())},
      context.getResults());
}

kj::Promise<void> SchedulerServer::planPool(PlanPoolContext context) {
  Result<core::PoolSpec> read = store::read_pool_spec(context.getParams().getSpec());
  std::optional<Refusal> refusal = read.ok() ? core::check(read.value()) : read.refusal();
  if (refusal) {
    write_refusal(*refusal, context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  return services_.engine.query(
      [this, context, spec = std::move(read).value()](const core::State& state) mutable {
        write_plan(plan_of(state, spec, services_.clock()), spec, context.getResults().initPlan());
      });
}

kj::Promise<void> SchedulerServer::drainNode(DrainNodeContext context) {
  const auto params = context.getParams();
  return post_wish(core::DrainNode{store::read_text(params.getKey()), user_,
                                   NodeId{params.getNode()}, read_farewell(params.getFarewell())},
                   context.getResults());
}

kj::Promise<void> SchedulerServer::resumeNode(ResumeNodeContext context) {
  const auto params = context.getParams();
  return post_wish(
      core::ResumeNode{store::read_text(params.getKey()), user_, NodeId{params.getNode()}},
      context.getResults());
}

kj::Promise<void> SchedulerServer::removeNode(RemoveNodeContext context) {
  const auto params = context.getParams();
  return post_wish(core::RemoveNode{store::read_text(params.getKey()), user_,
                                    NodeId{params.getNode()}, read_farewell(params.getFarewell())},
                   context.getResults());
}

kj::Promise<void> SchedulerServer::makeTokens(MakeTokensContext context) {
  const auto params = context.getParams();
  constexpr std::int64_t kMicrosPerSecond = 1'000'000;
  return services_
      .make_tokens({store::read_text(params.getKey()), store::read_text(params.getPool()),
                    params.getCount(), Duration(params.getLifeUs())})
      .then([context](const Result<std::vector<engine::TokenGiven>>& given) mutable {
        if (!given.ok()) {
          write_refusal(given.refusal(), context.getResults().initRefusal());
          return;
        }
        auto to = context.getResults().initTokens(static_cast<unsigned>(given.value().size()));
        for (unsigned n = 0; n < to.size(); ++n) {
          const engine::TokenGiven& token = given.value()[n];
          to[n].setNode(token.node.id.value);
          to[n].setText(store::text_of(token.text));
          to[n].setExpiresUs(token.expires_wall_s * kMicrosPerSecond);
        }
      });
}

}  // namespace leat::wire
