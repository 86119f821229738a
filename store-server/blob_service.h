#pragma once

// blob_service.h - what leat-store serves: blobs against tickets, within limits.

#include <kj/async-io.h>
#include <kj/time.h>
#include <kj/timer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "schema/data.capnp.h"
#include "store-server/blob_store.h"
#include "store-server/output_store.h"
#include "store-server/sync_thread.h"
#include "transport/identity.h"
#include "transport/ticket.h"
#include "transport/turnstile.h"

namespace leat::blobs {

struct ServiceLimits {
  std::size_t uploads_per_peer_max = 64;
  std::size_t uploads_max = 512;
  kj::Duration upload_idle_max = 60 * kj::SECONDS;
  // What the quota is now, asked before each upload; nothing: as it was.
  std::function<std::optional<std::uint64_t>()> quota_now = nullptr;
};

// What a service serves. All is borrowed.
struct Stores {
  BlobStore& blobs;
  OutputStore& outputs;
  SyncThread& sync_thread;
};

class BlobUpload;
class UploadSlot;

// Shared by all connections; hands each its own capability.
//
// Owns nothing but the book of uploads. Borrows stores, disk thread, timer and clock; outlives
// every capability it gave out. Thread: the loop.
class BlobService final : private kj::TaskSet::ErrorHandler {
 public:
  BlobService(Stores stores, transport::TicketVerifier verifier, kj::Timer& timer,
              const kj::Clock& clock, ServiceLimits limits = {});
  ~BlobService() noexcept(false);

  // The bootstrap for a peer of this certificate.
  schema::BlobServer::Client gate_for(const transport::Peer& peer,
                                      std::shared_ptr<transport::Turnstile> turnstile);

  // Uploads that still hold room on the disk.
  std::size_t uploads_open() const { return slots_taken_; }

 private:
  friend class BlobGate;
  friend class BlobUpload;
  friend class UploadSlot;

  // Refused: forged, expired, for another reader.
  Result<transport::Ticket> verify(std::string_view ticket, const std::string& reader) const;
  transport::WallSeconds now() const;
  // Refused with kOverloaded over a limit.
  Result<kj::Own<UploadSlot>> take_slot(const std::string& peer);
  void give_back_slot(const std::string& peer);
  kj::Promise<Result<Stored>> make_durable(SealedBlob sealed, kj::Own<UploadSlot> slot,
                                           std::function<void()> on_stored);
  kj::Promise<void> drop_idle();
  void taskFailed(kj::Exception&& exception) override;

  BlobStore& store_;
  OutputStore& outputs_;
  SyncThread& sync_thread_;
  transport::TicketVerifier verifier_;
  kj::Timer& timer_;
  const kj::Clock& clock_;
  ServiceLimits limits_;
  std::set<BlobUpload*> uploads_;
  std::size_t slots_taken_ = 0;
  std::map<std::string, std::size_t> slots_of_;  // by common name; no zeros
  kj::TaskSet tasks_;                            // last: cancelled before anything it uses goes
};

}  // namespace leat::blobs
