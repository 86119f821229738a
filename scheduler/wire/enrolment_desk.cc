#include "scheduler/wire/enrolment_desk.h"

#include <algorithm>
#include <utility>

#include "scheduler/engine/pool_driver.h"
#include "transport/identity.h"
#include "transport/token.h"

namespace leat::wire {
namespace {

// What a stranger hears, whatever the reason was.
Refusal no() {
  return {Reason::kConflict, "the token is not valid here: unknown, used or expired"};
}

transport::Peer agent(NodeRef node) {
  return {.kind = transport::Peer::Kind::kAgent, .node = node, .uid = 0};
}

}  // namespace

EnrolmentDesk::EnrolmentDesk(engine::Engine& engine, const transport::ClusterAuthority& authority,
                             engine::WallClock wall_clock, engine::Log log)
    : engine_(engine),
      authority_(authority),
      wall_clock_(std::move(wall_clock)),
      log_(std::move(log)) {}

kj::Promise<Result<std::string>> EnrolmentDesk::enrol(std::span<const std::byte> secret,
                                                      std::span<const std::byte> request_der) {
  const core::Hash token = engine::kept_hash(secret);
  transport::Bytes request(request_der.begin(), request_der.end());
  if (const auto at = given_.find(token); at != given_.end() && at->second.request == request)
    return Result<std::string>(at->second.certificate);
  const core::Node* node = engine_.state().node_by_token(token);
  if (node == nullptr) {
    log_("enrolment refused: unknown token");
    return Result<std::string>(no());
  }
  // Before the token is spent: a request that cannot be certified must not cost it.
  if (const auto trial = authority_.sign_request(request, agent(node->ref), wall_clock_());
      !trial.ok()) {
    log_("enrolment refused: " + trial.refusal().message);
    return Result<std::string>(no());
  }
  return engine_.post(core::EnrolNode{token})
      .then([this, token, request = std::move(request)](
                const Result<core::Answer>& answer) mutable -> Result<std::string> {
        if (!answer.ok()) {
          log_("enrolment refused: " + answer.refusal().message);
          return no();
        }
        const NodeRef ref = std::get<NodeRef>(answer.value());
        Result<std::string> certificate =
            authority_.sign_request(request, agent(ref), wall_clock_());
        if (!certificate.ok()) return no();
        log_("node " + std::to_string(ref.id.value) + " enrolled");
        remember(token, {std::move(request), certificate.value()});
        return certificate;
      });
}

void EnrolmentDesk::remember(const core::Hash& token, Given given) {
  if (order_.size() >= kAnswersKept) {
    given_.erase(order_.front());
    order_.pop_front();
  }
  order_.push_back(token);
  given_[token] = std::move(given);
}

}  // namespace leat::wire
