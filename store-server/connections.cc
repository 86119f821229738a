#include "store-server/connections.h"

#include <kj/debug.h>

#include "transport/session.h"
#include "transport/turnstile.h"

namespace leat::blobs {

void Connections::accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream) {
  if (peer.kind == transport::Peer::Kind::kStore || count_ >= kConnectionsMax) return;
  ++count_;
  auto turnstile = std::make_shared<transport::Turnstile>();
  auto session = kj::heap<transport::Session>(kj::mv(stream), transport::Session::Side::kAccepted,
                                              service_.gate_for(peer, turnstile),
                                              transport::kDataServerLimits);
  turnstile->bind(*session);
  session = session.attach(kj::defer([turnstile]() { turnstile->unbind(); }));
  kj::Promise<void> lost = session->on_disconnect();
  // The task set destroys the session in a turn of its own, not from within its callback.
  tasks_.add(
      lost.then([] { return kj::evalLater([] {}); }).attach(kj::mv(session), kj::defer([this] {
                                                              --count_;
                                                            })));
}

void Connections::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, "a session failed", exception);
}

}  // namespace leat::blobs
