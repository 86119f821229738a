#include "node-agent/peer_links.h"

#include <kj/compat/tls.h>
#include <kj/debug.h>

#include "transport/listener.h"

namespace leat::agent {

kj::Promise<capnp::Capability::Client> PeerLinks::get(const std::string& address,
                                                      const std::string& server_name) {
  const Key key{address, server_name};
  auto found = links_.find(key);
  if (found == links_.end()) {
    if (links_.size() >= kLinksMax) {
      const Key oldest = oldest_first_.front();
      drop(oldest, links_.at(oldest).number);
    }
    Link link;
    link.number = next_++;
    link.age = oldest_first_.insert(oldest_first_.end(), key);
    link.connected = connect(key, link.number).fork();
    found = links_.emplace(key, kj::mv(link)).first;
  }
  oldest_first_.splice(oldest_first_.end(), oldest_first_, found->second.age);
  return found->second.connected.addBranch().then([this, key]() {
    const auto link = links_.find(key);
    KJ_REQUIRE(link != links_.end() && link->second.session.get() != nullptr,
               "the connection was lost");
    return link->second.session->peer();
  });
}

kj::Promise<void> PeerLinks::connect(const Key& key, std::uint64_t number) {
  return transport::connect_tls(network_, timer_, key.first, context_, key.second)
      .then(
          [this, key, number](kj::Own<kj::AsyncIoStream> stream) {
            const auto link = links_.find(key);
            if (link == links_.end() || link->second.number != number) return;
            link->second.session =
                kj::heap<transport::Session>(kj::mv(stream), transport::Session::Side::kConnected,
                                             nullptr, transport::kDataLimits);
            tasks_.add(link->second.session->on_disconnect().then(
                [this, key, number]() { drop(key, number); }));
          },
          [this, key, number](kj::Exception&& e) {
            drop(key, number);
            kj::throwFatalException(kj::mv(e));
          });
}

// Sessions and promises are destroyed in a turn of their own, never from within themselves.
void PeerLinks::drop(const Key& key, std::uint64_t number) {
  const auto found = links_.find(key);
  if (found == links_.end() || found->second.number != number) return;
  oldest_first_.erase(found->second.age);
  auto gone = kj::heap<Link>(kj::mv(found->second));
  links_.erase(found);
  tasks_.add(kj::evalLater([gone = kj::mv(gone)]() mutable { gone = nullptr; }));
}

}  // namespace leat::agent
