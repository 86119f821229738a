#include "cli/data_link.h"

#include <kj/compat/tls.h>

#include "transport/authority.h"
#include "transport/listener.h"
#include "transport/tls.h"

namespace leat::cli {

DataLink::DataLink(Shell& shell) : shell_(shell) {
  const std::string dir = shell.home.user_credentials();
  const transport::Credentials credentials =
      value_or_fail(transport::load_credentials(dir), "credentials of this user: ");
  cluster_id_ = value_or_fail(transport::cluster_id_of(credentials), dir + ": ");
  context_ = transport::make_context(credentials, shell.io.provider->getTimer());
}

DataLink::~DataLink() noexcept(false) {}

kj::Maybe<capnp::Capability::Client> DataLink::connect(const std::string& address,
                                                       const std::string& server_name) {
  session_ = nullptr;
  const kj::Maybe<kj::Exception> lost = kj::runCatchingExceptions([&] {
    kj::Own<kj::AsyncIoStream> stream =
        transport::connect_tls(shell_.io.provider->getNetwork(), shell_.io.provider->getTimer(),
                               address, *context_, server_name)
            .wait(shell_.io.waitScope);
    session_ = kj::heap<transport::Session>(kj::mv(stream), transport::Session::Side::kConnected,
                                            nullptr, transport::kDataLimits);
  });
  if (lost != nullptr) return nullptr;
  return session_->peer();
}

kj::Maybe<schema::BlobServer::Client> DataLink::to_store(const std::string& address) {
  kj::Maybe<capnp::Capability::Client> peer =
      connect(address, transport::server_name(transport::Peer::Kind::kStore, cluster_id_));
  KJ_IF_MAYBE (store, peer) {
    return store->castAs<schema::BlobServer>();
  }
  return nullptr;
}

kj::Maybe<schema::DataServer::Client> DataLink::to_agent(const NodeRef& node,
                                                         const std::string& address) {
  kj::Maybe<capnp::Capability::Client> peer =
      connect(address, transport::agent_server_name(node, cluster_id_));
  KJ_IF_MAYBE (agent, peer) {
    return agent->castAs<schema::DataServer>();
  }
  return nullptr;
}

}  // namespace leat::cli
