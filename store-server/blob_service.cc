#include "store-server/blob_service.h"

#include <capnp/capability.h>
#include <kj/debug.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "base/check.h"

namespace leat::blobs {
namespace {

// Verifying a signature takes 0.1 ms, and an agent shows the same ticket for every range.
constexpr std::size_t kTicketsKnown = 8;

schema::Refusal::Reason to_schema(Reason reason) {
  switch (reason) {
    case Reason::kNotFound:
      return schema::Refusal::Reason::NOT_FOUND;
    case Reason::kConflict:
      return schema::Refusal::Reason::CONFLICT;
    case Reason::kOverloaded:
      return schema::Refusal::Reason::OVERLOADED;
    case Reason::kDisconnected:
      return schema::Refusal::Reason::DISCONNECTED;
    case Reason::kNotInThisVersion:
      return schema::Refusal::Reason::NOT_IN_THIS_VERSION;
    case Reason::kInvalid:
      break;
  }
  return schema::Refusal::Reason::INVALID;
}

void write_refusal(schema::Refusal::Builder out, const Refusal& refusal) {
  out.setReason(to_schema(refusal.reason));
  out.setMessage(refusal.message.c_str());
}

std::string_view view_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

std::span<const std::byte> span_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

}  // namespace

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
  BlobUpload(BlobService& service, kj::Own<UploadSlot> slot, std::unique_ptr<IncomingBlob> incoming)
      : service_(service),
        slot_(kj::mv(slot)),
        incoming_(std::move(incoming)),
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
    write_refusal(context.getResults().initRefusal(), refusal_);
    return kj::READY_NOW;
  }

 private:
  kj::Promise<void> store(FinishContext context, SealedBlob sealed) {
    const Blob blob = sealed.blob;
    return service_.make_durable(kj::mv(sealed), kj::mv(slot_))
        .then([context, blob](Result<Stored> stored) mutable {
          schema::FinishResult::Builder results = context.getResults();
          if (!stored.ok()) return write_refusal(results.initRefusal(), stored.refusal());
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
  Refusal refusal_;
  kj::TimePoint last_word_;
};

// The store as one peer sees it.
class BlobGate final : public schema::BlobServer::Server {
 public:
  BlobGate(BlobService& service, std::string reader)
      : service_(service), reader_(std::move(reader)) {}

  kj::Promise<void> has(HasContext context) override {
    const Result<Hash> hash = transport::hash_from_bytes(span_of(context.getParams().getHash()));
    // Whoever may write may ask first, so that what is there does not travel again. A bad ticket
    // is told "no" here and why by the put() that follows.
    const bool present = hash.ok() && check(context.getParams().getTicket()).ok() &&
                         service_.store_.has(hash.value());
    context.getResults().setPresent(present);
    return kj::READY_NOW;
  }

  kj::Promise<void> put(PutContext context) override {
    Result<kj::Own<BlobUpload>> upload = begin(context.getParams());
    schema::PutResult::Builder results = context.getResults();
    if (upload.ok()) {
      results.setUpload(std::move(upload).value());
    } else {
      write_refusal(results.initRefusal(), upload.refusal());
    }
    return kj::READY_NOW;
  }

  kj::Promise<void> read(ReadContext context) override {
    const Result<Done> done = read_into(context.getParams(), context);
    if (!done.ok()) write_refusal(context.getResults().initRefusal(), done.refusal());
    return kj::READY_NOW;
  }

  kj::Promise<void> usage(UsageContext context) override {
    const Usage usage = service_.store_.usage();
    UsageResults::Builder results = context.getResults();
    results.setBlobs(usage.blobs);
    results.setBytes(usage.bytes);
    results.setQuota(usage.quota);
    return kj::READY_NOW;
  }

 private:
  Result<kj::Own<BlobUpload>> begin(PutParams::Reader params) {
    const Result<transport::Ticket> ticket = check(params.getTicket());
    if (!ticket.ok()) return ticket.refusal();
    if (ticket.value().right != transport::Ticket::Right::kWrite)
      return invalid("this ticket does not allow to write");
    Result<kj::Own<UploadSlot>> slot = service_.take_slot(reader_);
    if (!slot.ok()) return slot.refusal();
    Result<std::unique_ptr<IncomingBlob>> incoming = service_.store_.begin(params.getLength());
    if (!incoming.ok()) return incoming.refusal();
    return kj::heap<BlobUpload>(service_, std::move(slot).value(), std::move(incoming).value());
  }

  Result<Done> read_into(ReadParams::Reader params, ReadContext& context) {
    const Result<transport::Ticket> ticket = check(params.getTicket());
    if (!ticket.ok()) return ticket.refusal();
    const Result<Hash> hash = transport::hash_from_bytes(span_of(params.getHash()));
    if (!hash.ok()) return hash.refusal();
    if (!may_read(ticket.value(), hash.value()))
      return invalid("this ticket does not allow to read that blob");
    const Result<std::uint64_t> total = service_.store_.length(hash.value());
    if (!total.ok()) return total.refusal();
    const std::uint64_t offset = std::min(params.getOffset(), total.value());
    const std::uint64_t length = std::min<std::uint64_t>(
        {params.getLength(), schema::MAX_READ_BYTES, total.value() - offset});
    schema::ReadResult::Bytes::Builder bytes = context.getResults().initBytes();
    bytes.setTotal(total.value());
    bytes.setFinished(true);
    capnp::Data::Builder data = bytes.initData(static_cast<kj::uint>(length));
    return service_.store_.read(hash.value(), offset,
                                {reinterpret_cast<std::byte*>(data.begin()), data.size()});
  }

  // A ticket without hash and without tasks is a job's right to its input blobs. The store does
  // not know which those are: in this version such a ticket opens every blob, and the head gives
  // one only to agents that run a stage with inputs.
  static bool may_read(const transport::Ticket& ticket, const Hash& hash) {
    if (ticket.right != transport::Ticket::Right::kRead) return false;
    if (ticket.blob_hash == Hash{}) return ticket.indices.empty();
    return ticket.blob_hash == hash;
  }

  Result<transport::Ticket> check(capnp::Data::Reader data) {
    const std::string_view bytes = view_of(data);
    const auto known = std::find_if(known_.begin(), known_.end(),
                                    [bytes](const Known& k) { return k.bytes == bytes; });
    if (known != known_.end() && service_.now() < known->ticket.expires_wall_s)
      return known->ticket;
    Result<transport::Ticket> ticket = service_.verify(bytes, reader_);
    if (!ticket.ok()) return ticket;
    if (known_.size() == kTicketsKnown) known_.pop_front();
    known_.push_back({std::string(bytes), ticket.value()});
    return ticket;
  }

  struct Known {
    std::string bytes;
    transport::Ticket ticket;
  };

  BlobService& service_;
  std::string reader_;
  std::deque<Known> known_;  // verified for this reader; oldest first
};

#pragma GCC diagnostic pop

BlobService::BlobService(BlobStore& store, SyncThread& sync_thread,
                         transport::TicketVerifier verifier, kj::Timer& timer,
                         const kj::Clock& clock, ServiceLimits limits)
    : store_(store),
      sync_thread_(sync_thread),
      verifier_(verifier),
      timer_(timer),
      clock_(clock),
      limits_(limits),
      tasks_(*this) {
  tasks_.add(drop_idle());
}

BlobService::~BlobService() noexcept(false) {
  LEAT_CHECK(uploads_.empty());
}

schema::BlobServer::Client BlobService::gate_for(const transport::Peer& peer) {
  return kj::heap<BlobGate>(*this, transport::common_name(peer));
}

Result<transport::Ticket> BlobService::verify(std::string_view ticket,
                                              const std::string& reader) const {
  return verifier_.verify(ticket, reader, now());
}

transport::WallSeconds BlobService::now() const {
  return (clock_.now() - kj::UNIX_EPOCH) / kj::SECONDS;
}

Result<kj::Own<UploadSlot>> BlobService::take_slot(const std::string& peer) {
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
kj::Promise<Result<Stored>> BlobService::make_durable(SealedBlob sealed, kj::Own<UploadSlot> slot) {
  auto promise = kj::newPromiseAndFulfiller<Result<Stored>>();
  tasks_.add(sync_thread_.make_durable(kj::mv(sealed))
                 .then([fulfiller = kj::mv(promise.fulfiller)](Result<Stored> stored) mutable {
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
