#pragma once

// static_driver.h - join tokens for nodes that people start by hand, and the end of such nodes.

#include <kj/async.h>

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/core/messages.h"
#include "scheduler/engine/pool_driver.h"

namespace leat::engine {

// What a person asks for.
struct TokenRequest {
  std::string key;
  std::string pool;  // by name
  std::uint32_t count = 1;
  Duration life{0};
};

// One token, for one node, to be used once.
struct TokenGiven {
  NodeRef node;
  std::string text;  // a secret
  transport::WallSeconds expires_wall_s = 0;
};

// A node is requested (a fact, with the hash of its secret) before its token leaves. Nothing is
// bought: whoever has the token is the node, until it expires. Secrets are in memory only, as long
// as it takes to answer, and with the newest kAnswersKept answers, which a caller may ask for
// again.
//
// Thread: engine loop.
class StaticDriver final : private kj::TaskSet::ErrorHandler {
 public:
  static constexpr std::uint32_t kTokensAtOnce = 1'024;
  static constexpr std::size_t kAnswersKept = 64;
  static constexpr Duration kLifeMin = std::chrono::seconds(1);
  static constexpr Duration kLifeMax = std::chrono::hours(24 * 30);

  // `services.provider` ends nodes; `site.provider` is the name by which pools ask for it.
  StaticDriver(PoolServices services, PoolSite site);

  // Once the head has started: ends what was being deleted when it ended.
  void start();

  // DeleteNode; other effects are left alone.
  void carry_out(const core::Effect& effect);

  // Refused: a pool that is not there, makes its nodes itself, or has all the nodes it expects.
  kj::Promise<Result<std::vector<TokenGiven>>> make_tokens(TokenRequest request);

 private:
  struct Making;

  Result<PoolId> check(const TokenRequest& request) const;
  Result<std::vector<TokenGiven>> conclude(const Making& making,
                                           const kj::Array<Result<core::Answer>>& answers);
  void remember(const std::string& key, const std::vector<TokenGiven>& tokens);
  void end(NodeRef ref);
  void taskFailed(kj::Exception&& exception) override;

  PoolServices services_;
  PoolSite site_;
  std::map<std::string, std::vector<TokenGiven>> given_;
  std::deque<std::string> order_;  // of given_, oldest first
  std::set<std::string> making_;   // keys of requests under way
  kj::TaskSet tasks_;              // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
