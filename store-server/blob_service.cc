#include "store-server/blob_service.h"

#include <kj/debug.h>

#include <utility>

#include "base/check.h"
#include "store-server/blob_gate.h"
#include "store-server/blob_upload.h"

namespace leat::blobs {

BlobService::BlobService(Stores stores, transport::TicketVerifier verifier, kj::Timer& timer,
                         const kj::Clock& clock, ServiceLimits limits)
    : store_(stores.blobs),
      outputs_(stores.outputs),
      sync_thread_(stores.sync_thread),
      verifier_(verifier),
      timer_(timer),
      clock_(clock),
      limits_(std::move(limits)),
      tasks_(*this) {
  store_.room().on_short([this]() { return outputs_.evict(); });
  tasks_.add(drop_idle());
}

BlobService::~BlobService() noexcept(false) {
  LEAT_CHECK(uploads_.empty());
}

schema::BlobServer::Client BlobService::gate_for(const transport::Peer& peer,
                                                 std::shared_ptr<transport::Turnstile> turnstile) {
  return kj::heap<BlobGate>(*this, peer, std::move(turnstile));
}

Result<transport::Ticket> BlobService::verify(std::string_view ticket,
                                              const std::string& reader) const {
  return verifier_.verify(ticket, reader, now());
}

transport::WallSeconds BlobService::now() const {
  return (clock_.now() - kj::UNIX_EPOCH) / kj::SECONDS;
}

Result<kj::Own<UploadSlot>> BlobService::take_slot(const std::string& peer) {
  if (limits_.quota_now) {
    const std::optional<std::uint64_t> quota = limits_.quota_now();
    if (quota) store_.room().set_quota(*quota);
  }
  const auto of_peer = slots_of_.find(peer);
  const std::size_t open = of_peer == slots_of_.end() ? 0 : of_peer->second;
  if (open >= limits_.uploads_per_peer_max || slots_taken_ >= limits_.uploads_max)
    return Refusal{Reason::kOverloaded, "too many uploads at once; finish one and try again"};
  ++slots_taken_;
  ++slots_of_[peer];
  return kj::heap<UploadSlot>(*this, peer);
}

void BlobService::give_back_slot(const std::string& peer) {
  --slots_taken_;
  const auto of_peer = slots_of_.find(peer);
  if (--of_peer->second == 0) slots_of_.erase(of_peer);
}

// The slot stays taken until the disk is done, also when the client has gone: the disk thread's
// queue is as bounded as the uploads are.
kj::Promise<Result<Stored>> BlobService::make_durable(SealedBlob sealed, kj::Own<UploadSlot> slot,
                                                      std::function<void()> on_stored) {
  auto promise = kj::newPromiseAndFulfiller<Result<Stored>>();
  tasks_.add(sync_thread_.make_durable(kj::mv(sealed))
                 .then([fulfiller = kj::mv(promise.fulfiller),
                        on_stored = std::move(on_stored)](Result<Stored> stored) mutable {
                   if (stored.ok() && on_stored) on_stored();
                   fulfiller->fulfill(kj::mv(stored));
                 })
                 .attach(kj::mv(slot)));
  return kj::mv(promise.promise);
}

kj::Promise<void> BlobService::drop_idle() {
  return timer_.afterDelay(limits_.upload_idle_max / 4).then([this] {
    const kj::TimePoint oldest = timer_.now() - limits_.upload_idle_max;
    for (BlobUpload* upload : uploads_) upload->drop_if_idle_since(oldest);
    return drop_idle();
  });
}

void BlobService::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, exception);
}

}  // namespace leat::blobs
