#pragma once

// data_link.h - to the data port of an agent or of leat-store, never through the head.

#include <kj/async-io.h>

#include <string>

#include "base/ids.h"
#include "cli/command.h"
#include "schema/data.capnp.h"
#include "transport/session.h"

namespace kj {
class TlsContext;
}

namespace leat::cli {

// One TLS session with the credentials the head made for us. Borrows the shell.
class DataLink {
 public:
  // Throws Failure (kUsage) if the credentials are missing or damaged.
  explicit DataLink(Shell& shell);
  ~DataLink() noexcept(false);
  DataLink(const DataLink&) = delete;
  DataLink& operator=(const DataLink&) = delete;

  // Connects anew. Nothing if there is no answer, or from somebody else.
  kj::Maybe<schema::BlobServer::Client> to_store(const std::string& address);
  kj::Maybe<schema::DataServer::Client> to_agent(const NodeRef& node, const std::string& address);

 private:
  kj::Maybe<capnp::Capability::Client> connect(const std::string& address,
                                               const std::string& server_name);

  Shell& shell_;
  std::string cluster_id_;
  kj::Own<kj::TlsContext> context_;
  kj::Own<transport::Session> session_;  // last: uses the context
};

}  // namespace leat::cli
