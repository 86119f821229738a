#include "scheduler/engine/static_driver.h"

#include <kj/vector.h>

#include <utility>

namespace leat::engine {
namespace {

using Tokens = Result<std::vector<TokenGiven>>;

}  // namespace

// What a request needs until its nodes are on disk.
struct StaticDriver::Making {
  TokenRequest request;
  std::vector<transport::Secret> secrets;
  transport::WallSeconds expires_wall_s = 0;
};

StaticDriver::StaticDriver(PoolServices services, PoolSite site)
    : services_(std::move(services)), site_(std::move(site)), tasks_(*this) {}

void StaticDriver::start() {
  for (const auto& [id, node] : services_.engine.state().nodes())
    if (node.state == core::NodeState::kDeleting) end(node.ref);
}

void StaticDriver::carry_out(const core::Effect& effect) {
  if (const auto* gone = std::get_if<core::DeleteNode>(&effect)) end(gone->node);
}

void StaticDriver::end(NodeRef ref) {
  const core::State& state = services_.engine.state();
  const core::Node* node = state.node(ref);
  const core::Pool* pool = node == nullptr ? nullptr : state.pool(node->pool);
  if (pool == nullptr || pool->spec.provider != site_.provider) return;
  tasks_.add(services_.provider.destroy(ref).then([this, ref](const Result<Done>&) {
    const core::Node* left = services_.engine.state().node(ref);
    if (left == nullptr) return;
    services_.log(text_of(ref) + " is gone: " + left->reason);
    tasks_.add(services_.engine.post(core::ProveGone{ref, left->reason}).ignoreResult());
  }));
}

Result<PoolId> StaticDriver::check(const TokenRequest& request) const {
  const core::State& state = services_.engine.state();
  if (request.key.empty() || request.key.size() > core::kKeyBytesMax)
    return invalid("a key has 1 to 128 bytes");
  if (request.count < 1 || request.count > kTokensAtOnce)
    return invalid("from 1 to " + std::to_string(kTokensAtOnce) + " tokens at once");
  if (request.life < kLifeMin || request.life > kLifeMax)
    return invalid("a token is good for 1 second to 30 days");
  const core::Pool* pool = state.pool_named(request.pool);
  if (pool == nullptr)
    return Refusal{Reason::kNotFound,
                   "no pool is named \"" + request.pool + "\"; see: leat pool list"};
  if (pool->spec.provider != site_.provider)
    return Refusal{Reason::kConflict, "pool \"" + request.pool + "\" makes its nodes itself: " +
                                          "tokens are for pools with provider \"static\""};
  if (pool->state == core::PoolState::kDeleting)
    return Refusal{Reason::kConflict, "pool \"" + request.pool + "\" is being deleted"};
  std::uint64_t have = 0;
  for (const auto& [id, node] : state.nodes())
    if (node.pool == pool->id && node.state != core::NodeState::kDeleting) ++have;
  if (have + request.count > pool->spec.nodes.max)
    return Refusal{Reason::kConflict, "pool \"" + request.pool + "\" expects " +
                                          std::to_string(pool->spec.nodes.max) + " nodes and has " +
                                          std::to_string(have) +
                                          ", tokens that are still good included; see: leat " +
                                          "node list, leat pool resize"};
  return pool->id;
}

kj::Promise<Tokens> StaticDriver::make_tokens(TokenRequest request) {
  if (const auto known = given_.find(request.key); known != given_.end())
    return Tokens(known->second);
  if (making_.contains(request.key))
    return Tokens(Refusal{Reason::kOverloaded, "the tokens of this key are being made"});
  const Result<PoolId> pool = check(request);
  if (!pool.ok()) return Tokens(pool.refusal());
  making_.insert(request.key);
  Making making;
  making.expires_wall_s = services_.wall_clock() +
                          std::chrono::duration_cast<std::chrono::seconds>(request.life).count();
  const Time expires = services_.clock() + request.life;
  kj::Vector<kj::Promise<Result<core::Answer>>> wishes;
  for (std::uint32_t n = 0; n < request.count; ++n) {
    making.secrets.push_back(services_.new_secret());
    wishes.add(services_.engine.post(
        core::RequestNode{pool.value(), kept_hash(making.secrets.back()), expires}));
  }
  making.request = std::move(request);
  return kj::joinPromises(wishes.releaseAsArray())
      .then([this, making = std::move(making)](kj::Array<Result<core::Answer>>&& answers) {
        making_.erase(making.request.key);
        return conclude(making, answers);
      });
}

Tokens StaticDriver::conclude(const Making& making,
                              const kj::Array<Result<core::Answer>>& answers) {
  std::vector<TokenGiven> tokens;
  for (std::size_t n = 0; n < answers.size(); ++n) {
    // What was requested before it expires unused.
    if (!answers[n].ok()) return answers[n].refusal();
    const NodeRef node = std::get<NodeRef>(answers[n].value());
    const transport::JoinToken token{.secret = making.secrets[n],
                                     .authority_der = site_.authority_der,
                                     .cluster_id = site_.cluster_id,
                                     .node = node,
                                     .enrol_address = site_.enrol_address,
                                     .expires_wall_s = making.expires_wall_s,
                                     .agent_address = site_.agent_address,
                                     .pool = making.request.pool};
    tokens.push_back({node, transport::encode_token(token), making.expires_wall_s});
  }
  services_.log("pool " + making.request.pool + ": tokens for " + std::to_string(tokens.size()) +
                (tokens.size() == 1 ? " node" : " nodes"));
  remember(making.request.key, tokens);
  return tokens;
}

void StaticDriver::remember(const std::string& key, const std::vector<TokenGiven>& tokens) {
  if (order_.size() >= kAnswersKept) {
    given_.erase(order_.front());
    order_.pop_front();
  }
  order_.push_back(key);
  given_[key] = tokens;
}

void StaticDriver::taskFailed(kj::Exception&& exception) {
  services_.log("pool " + site_.provider + ": " + exception.getDescription().cStr());
}

}  // namespace leat::engine
