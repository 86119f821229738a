#pragma once

// support.h - a cluster with a store's home, clients with tickets, and events of directories.

#include <kj/async-unix.h>
#include <kj/compat/tls.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/transport/support.h"
#include "transport/blob_client.h"
#include "transport/listener.h"
#include "transport/secret_file.h"
#include "transport/session.h"
#include "transport/ticket.h"

namespace leat::blobs {

using namespace leat::transport;  // NOLINT(google-build-using-namespace): a test's own words

// Bytes that differ from seed to seed.
inline std::string some_bytes(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.next());
  return bytes;
}

inline Hash hash_of(const std::string& bytes) {
  Sha256 sha256;
  sha256.update(std::as_bytes(std::span(bytes)));
  return sha256.finish();
}

inline std::size_t files_in(const std::string& directory) {
  const std::filesystem::directory_iterator all(directory);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// HOME as the head leaves it for leat-store.
struct StoreHome {
  StoreHome() {
    EXPECT_TRUE(ensure_private_directory(home / "tls").ok());
    EXPECT_TRUE(ensure_private_directory(home / "tls/store").ok());
    EXPECT_TRUE(
        save_credentials(home / "tls/store", cluster.issue({Peer::Kind::kStore, {}, 0})).ok());
    const PublicKey key = signer.public_key();
    EXPECT_TRUE(write_secret_file(home / "tls/ticket.pub",
                                  {reinterpret_cast<const char*>(key.data()), key.size()})
                    .ok());
  }

  std::string ticket(Ticket::Right right, const Peer& reader, Hash blob = {},
                     std::vector<Stride> indices = {}, WallSeconds seconds = 600,
                     JobId job = JobId{17}) const {
    Ticket ticket;
    ticket.right = right;
    ticket.job = job;
    ticket.indices = std::move(indices);
    ticket.blob_hash = blob;
    ticket.reader = common_name(reader);
    ticket.expires_wall_s = wall_now() + seconds;
    return signer.sign(ticket).value();
  }

  std::string job_ticket(JobId job, Ticket::Right right, const Peer& reader,
                         std::vector<Stride> indices = {}) const {
    return ticket(right, reader, {}, std::move(indices), 600, job);
  }

  std::string blob_path(const Hash& hash) const {
    const std::string text = hash_text(hash);
    return home / "blobs/" + text.substr(0, 2) + "/" + text.substr(2);
  }

  PrivateDirectory home;
  PrivateDirectory keys;
  Cluster cluster;
  TicketSigner signer = TicketSigner::open(keys.path()).value();
};

// One party's connection to the store.
class StoreClient {
 public:
  StoreClient(Loop& loop, const StoreHome& home, const std::string& address, const Peer& peer)
      : context_(make_context(home.cluster.issue(peer), loop.timer())),
        session_(std::make_unique<Session>(
            loop.within(connect_tls(loop.network(), loop.timer(), address, *context_,
                                    server_name(Peer::Kind::kStore, home.cluster.id))),
            Session::Side::kConnected, nullptr, kDataLimits)) {}

  schema::BlobServer::Client store() { return session_->peer().castAs<schema::BlobServer>(); }
  kj::Promise<void> lost() { return session_->on_disconnect(); }
  void hang_up() { session_ = nullptr; }

 private:
  kj::Own<kj::TlsContext> context_;
  std::unique_ptr<Session> session_;
};

// Something happened in a directory.
class DirectoryEvents {
 public:
  DirectoryEvents(kj::UnixEventPort& port, const std::string& directory)
      : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
        observer_(port, inotify_.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ) {
    ::inotify_add_watch(inotify_.get(), directory.c_str(), IN_CREATE | IN_DELETE | IN_MODIFY);
  }

  kj::Promise<void> next() {
    char buffer[4096];
    while (::read(inotify_.get(), buffer, sizeof buffer) > 0) {
    }
    return observer_.whenBecomesReadable();
  }

 private:
  kj::AutoCloseFd inotify_;
  kj::UnixEventPort::FdObserver observer_;
};

}  // namespace leat::blobs
