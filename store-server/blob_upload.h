#pragma once

// blob_upload.h - one upload of one peer.

#include <kj/debug.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "store-server/blob_service.h"
#include "store-server/wire_words.h"
#include "transport/wire_refusal.h"

namespace leat::blobs {

// One of the uploads that may be open at once.
class UploadSlot {
 public:
  UploadSlot(BlobService& service, std::string peer) : service_(service), peer_(std::move(peer)) {}
  ~UploadSlot() { service_.give_back_slot(peer_); }
  KJ_DISALLOW_COPY(UploadSlot);

 private:
  BlobService& service_;
  std::string peer_;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// One upload of one peer. What is wrong with it is said once, by finish(); until then its bytes
// are dropped, because an exception would hide the reason from the client.
class BlobUpload final : public schema::Upload::Server {
 public:
  // `stored` hears when the bytes are on disk.
  BlobUpload(BlobService& service, kj::Own<UploadSlot> slot, std::unique_ptr<IncomingBlob> incoming,
             std::function<void()> stored)
      : service_(service),
        slot_(kj::mv(slot)),
        incoming_(std::move(incoming)),
        stored_(std::move(stored)),
        last_word_(service.timer_.now()) {
    service_.uploads_.insert(this);
  }
  ~BlobUpload() noexcept(false) { service_.uploads_.erase(this); }

  void drop_if_idle_since(kj::TimePoint instant) {
    if (incoming_ != nullptr && last_word_ <= instant)
      fail({Reason::kOverloaded, "the upload stood still for too long and was dropped"});
  }

  kj::Promise<void> write(WriteContext context) override {
    last_word_ = service_.timer_.now();
    if (incoming_ == nullptr) return kj::READY_NOW;
    const capnp::Data::Reader data = context.getParams().getData();
    if (data.size() > schema::MAX_READ_BYTES) {
      fail(invalid("one write has at most " + std::to_string(schema::MAX_READ_BYTES) + " bytes"));
      return kj::READY_NOW;
    }
    const Result<Done> appended = incoming_->append(span_of(data));
    if (!appended.ok()) fail(appended.refusal());
    return kj::READY_NOW;
  }

  kj::Promise<void> finish(FinishContext context) override {
    if (incoming_ != nullptr) {
      Result<SealedBlob> sealed = incoming_->seal();
      incoming_ = nullptr;
      if (sealed.ok()) {
        SealedBlob blob = std::move(sealed).value();
        refusal_ = invalid("the upload is finished already");
        // The disk goes on without the call; the call must not outlive its session.
        context.allowCancellation();
        return store(context, kj::mv(blob));
      }
      fail(sealed.refusal());
    }
    transport::write_refusal(refusal_, context.getResults().initRefusal());
    return kj::READY_NOW;
  }

 private:
  kj::Promise<void> store(FinishContext context, SealedBlob sealed) {
    const Blob blob = sealed.blob;
    return service_.make_durable(kj::mv(sealed), kj::mv(slot_), stored_)
        .then([context, blob](const Result<Stored>& stored) mutable {
          schema::FinishResult::Builder results = context.getResults();
          if (!stored.ok())
            return transport::write_refusal(stored.refusal(), results.initRefusal());
          schema::BlobRef::Builder ref = results.initBlob();
          ref.setHash({reinterpret_cast<const kj::byte*>(blob.hash.data()), blob.hash.size()});
          ref.setLength(blob.length);
        });
  }

  // Every later call gets this answer; the bytes are gone from the disk.
  void fail(Refusal refusal) {
    incoming_ = nullptr;
    slot_ = nullptr;
    refusal_ = std::move(refusal);
  }

  BlobService& service_;
  kj::Own<UploadSlot> slot_;
  std::unique_ptr<IncomingBlob> incoming_;  // null once failed or finished
  std::function<void()> stored_;
  Refusal refusal_;
  kj::TimePoint last_word_;
};

#pragma GCC diagnostic pop

}  // namespace leat::blobs
