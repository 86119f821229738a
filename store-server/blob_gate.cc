#include "store-server/blob_gate.h"

#include <capnp/capability.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "store-server/blob_upload.h"
#include "store-server/wire_words.h"
#include "transport/wire_refusal.h"

namespace leat::blobs {
namespace {

using transport::Ticket;
using transport::write_refusal;

// Verifying a signature takes 0.1 ms, and an agent shows the same ticket for every range.
constexpr std::size_t kTicketsKnown = 8;

// A ticket without hash and without tasks is a job's right to its input blobs. The store does not
// know which those are: in this version such a ticket opens every blob, and the head gives one only
// to agents that run a stage with inputs.
bool may_read(const Ticket& ticket, const Hash& hash) {
  if (ticket.right != Ticket::Right::kRead) return false;
  if (ticket.blob_hash == Hash{}) return ticket.indices.empty();
  return ticket.blob_hash == hash;
}

bool may_read(const Ticket& ticket, const RunId& run) {
  return ticket.right == Ticket::Right::kRead && ticket.blob_hash == Hash{} &&
         ticket.job == run.job && ticket.stage == run.stage && ticket.covers(run.index);
}

SpoolFile read_file(schema::SpoolFile::Reader from) {
  return {std::string(from.getName().begin(), from.getName().size()), from.getLength()};
}

void answer(Result<kj::Own<schema::Upload::Server>> upload, schema::PutResult::Builder to) {
  if (!upload.ok()) return write_refusal(upload.refusal(), to.initRefusal());
  to.setUpload(std::move(upload).value());
}

RunId read_run(schema::RunId::Reader from) {
  return {JobId{from.getJob()}, from.getStage(), from.getAttempt(), from.getIndex()};
}

}  // namespace

BlobGate::BlobGate(BlobService& service, const transport::Peer& peer,
                   std::shared_ptr<transport::Turnstile> turnstile)
    : service_(service),
      peer_(peer),
      reader_(transport::common_name(peer)),
      turnstile_(std::move(turnstile)) {}

kj::Promise<void> BlobGate::has(HasContext context) {
  const Result<Hash> hash = transport::hash_from_bytes(span_of(context.getParams().getHash()));
  // Whoever may write may ask first, so that what is there does not travel again. A bad ticket
  // is told "no" here and why by the put() that follows.
  const bool present =
      hash.ok() && check(context.getParams().getTicket()).ok() && service_.store_.has(hash.value());
  context.getResults().setPresent(present);
  return kj::READY_NOW;
}

kj::Promise<void> BlobGate::put(PutContext context) {
  answer(begin(context.getParams()), context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> BlobGate::putOutputs(PutOutputsContext context) {
  answer(begin_output(context.getParams()), context.getResults());
  return kj::READY_NOW;
}

kj::Promise<void> BlobGate::read(ReadContext context) {
  context.allowCancellation();
  return turnstile_->enter().then([this, context](kj::Own<transport::Turnstile::Pass>) mutable {
    const Result<Done> done = read_into(context.getParams(), context);
    if (!done.ok()) write_refusal(done.refusal(), context.getResults().initRefusal());
  });
}

kj::Promise<void> BlobGate::readOutput(ReadOutputContext context) {
  context.allowCancellation();
  return turnstile_->enter().then([this, context](kj::Own<transport::Turnstile::Pass>) mutable {
    const Result<Done> done = read_output_into(context.getParams(), context);
    if (!done.ok()) write_refusal(done.refusal(), context.getResults().initRefusal());
  });
}

kj::Promise<void> BlobGate::usage(UsageContext context) {
  const Usage usage = service_.store_.usage();
  UsageResults::Builder results = context.getResults();
  results.setBlobs(usage.blobs);
  results.setBytes(usage.bytes);
  results.setQuota(usage.quota);
  results.setOutputBytes(service_.outputs_.bytes());
  return kj::READY_NOW;
}

kj::Promise<void> BlobGate::outputs(OutputsContext context) {
  const Result<NodeRef> node = node_of(context.getParams().getTicket());
  if (!node.ok()) return kj::READY_NOW;  // nothing; why is said by the upload that follows
  const std::vector<SpoolFile> files = service_.outputs_.files(node.value());
  auto list = context.getResults().initFiles(static_cast<kj::uint>(files.size()));
  for (kj::uint i = 0; i < list.size(); ++i) {
    list[i].setName(files[i].name.c_str());
    list[i].setLength(files[i].length);
  }
  return kj::READY_NOW;
}

kj::Promise<void> BlobGate::keepOutputs(KeepOutputsContext context) {
  const auto params = context.getParams();
  const Result<NodeRef> node = node_of(params.getTicket());
  Result<Done> kept = node.ok() ? Result<Done>(Done{}) : Result<Done>(node.refusal());
  if (node.ok()) {
    std::vector<SpoolFile> files;
    for (const schema::SpoolFile::Reader file : params.getFiles()) files.push_back(read_file(file));
    kept = service_.outputs_.keep(node.value(), std::move(files));
  }
  if (kept.ok()) {
    context.getResults().setDone();
  } else {
    write_refusal(kept.refusal(), context.getResults().initRefusal());
  }
  return kj::READY_NOW;
}

kj::Promise<void> BlobGate::keepInputs(KeepInputsContext context) {
  if (peer_.kind != transport::Peer::Kind::kHead)
    return KJ_EXCEPTION(FAILED, "only the head knows which inputs are needed");
  const auto params = context.getParams();
  if (needed_.size() + params.getHashes().size() > kHashesMax)
    return KJ_EXCEPTION(OVERLOADED, "more inputs than can be kept apart");
  for (const auto bytes : params.getHashes())
    if (const Result<Hash> hash = transport::hash_from_bytes(span_of(bytes)); hash.ok())
      needed_.insert(hash.value());
  if (!params.getLast()) return kj::READY_NOW;
  const transport::WallSeconds now = service_.now();
  const auto age = static_cast<std::int64_t>(
      std::min<std::uint64_t>(params.getOlderThanS(), static_cast<std::uint64_t>(now)));
  context.getResults().setDeleted(service_.store_.drop_inputs(needed_, now - age, now));
  needed_.clear();
  return kj::READY_NOW;
}

Result<kj::Own<schema::Upload::Server>> BlobGate::begin(PutParams::Reader params) {
  const Result<Ticket> ticket = check(params.getTicket());
  if (!ticket.ok()) return ticket.refusal();
  if (ticket.value().right != Ticket::Right::kWrite)
    return invalid("this ticket does not allow to write");
  Result<kj::Own<UploadSlot>> slot = service_.take_slot(reader_);
  if (!slot.ok()) return slot.refusal();
  const Kind kind = ticket.value().job ? Kind::kResult : Kind::kInput;
  Result<std::unique_ptr<IncomingBlob>> incoming =
      service_.store_.begin(params.getLength(), {kind, {}});
  if (!incoming.ok()) return incoming.refusal();
  return kj::Own<schema::Upload::Server>(kj::heap<BlobUpload>(
      service_, std::move(slot).value(), std::move(incoming).value(), nullptr));
}

Result<NodeRef> BlobGate::node_of(capnp::Data::Reader ticket) {
  const Result<Ticket> checked = check(ticket);
  if (!checked.ok()) return checked.refusal();
  if (checked.value().right != Ticket::Right::kWrite || checked.value().job ||
      peer_.kind != transport::Peer::Kind::kAgent)
    return invalid("this ticket does not allow to bring a node's outputs");
  return peer_.node;
}

Result<kj::Own<schema::Upload::Server>> BlobGate::begin_output(PutOutputsParams::Reader params) {
  const Result<NodeRef> node = node_of(params.getTicket());
  if (!node.ok()) return node.refusal();
  const SpoolFile file = read_file(params.getFile());
  Result<kj::Own<UploadSlot>> slot = service_.take_slot(reader_);
  if (!slot.ok()) return slot.refusal();
  Result<std::string> place = service_.outputs_.place_for(node.value(), file.name);
  if (!place.ok()) return place.refusal();
  Result<std::unique_ptr<IncomingBlob>> incoming =
      service_.store_.begin(file.length, {Kind::kOutput, std::move(place).value()});
  if (!incoming.ok()) return incoming.refusal();
  const auto stored = [&outputs = service_.outputs_, node = node.value(), file]() {
    outputs.note(node, file);
  };
  return kj::Own<schema::Upload::Server>(
      kj::heap<BlobUpload>(service_, std::move(slot).value(), std::move(incoming).value(), stored));
}

Result<Done> BlobGate::read_into(ReadParams::Reader params, ReadContext& context) {
  const Result<Ticket> ticket = check(params.getTicket());
  if (!ticket.ok()) return ticket.refusal();
  const Result<Hash> hash = transport::hash_from_bytes(span_of(params.getHash()));
  if (!hash.ok()) return hash.refusal();
  if (!may_read(ticket.value(), hash.value()))
    return invalid("this ticket does not allow to read that blob");
  const Result<std::uint64_t> total = service_.store_.length(hash.value());
  if (!total.ok()) return total.refusal();
  const std::uint64_t offset = std::min(params.getOffset(), total.value());
  const std::uint64_t length =
      std::min<std::uint64_t>({params.getLength(), schema::MAX_READ_BYTES, total.value() - offset});
  schema::ReadResult::Bytes::Builder bytes = context.getResults().initBytes();
  bytes.setTotal(total.value());
  bytes.setFinished(true);
  capnp::Data::Builder data = bytes.initData(static_cast<kj::uint>(length));
  return service_.store_.read(hash.value(), offset,
                              {reinterpret_cast<std::byte*>(data.begin()), data.size()});
}

Result<Done> BlobGate::read_output_into(ReadOutputParams::Reader params,
                                        ReadOutputContext& context) {
  const Result<Ticket> ticket = check(params.getTicket());
  if (!ticket.ok()) return ticket.refusal();
  const RunId run = read_run(params.getRun());
  if (!may_read(ticket.value(), run)) return invalid("this ticket is for something else");
  const NodeRef node{NodeId{params.getNode().getId()}, NodeEpoch{params.getNode().getEpoch()}};
  const auto stream =
      params.getStream() == schema::Stream::ERROR ? spool::Stream::kError : spool::Stream::kOutput;
  const std::uint64_t length = std::min(params.getLength(), schema::MAX_READ_BYTES);
  const Result<OutputStore::Piece> piece =
      service_.outputs_.read(node, run, stream, params.getOffset(), length);
  if (!piece.ok()) return piece.refusal();
  schema::ReadResult::Bytes::Builder bytes = context.getResults().initBytes();
  bytes.setTotal(piece.value().total);
  bytes.setFinished(true);
  bytes.setTruncated(piece.value().truncated);
  const std::string& data = piece.value().data;
  bytes.setData(kj::arrayPtr(reinterpret_cast<const kj::byte*>(data.data()), data.size()));
  return Done{};
}

Result<Ticket> BlobGate::check(capnp::Data::Reader data) {
  const std::string_view bytes = view_of(data);
  const auto known = std::find_if(known_.begin(), known_.end(),
                                  [bytes](const Known& k) { return k.bytes == bytes; });
  if (known != known_.end() && service_.now() < known->ticket.expires_wall_s) return known->ticket;
  Result<Ticket> ticket = service_.verify(bytes, reader_);
  if (!ticket.ok()) return ticket;
  if (known_.size() == kTicketsKnown) known_.pop_front();
  known_.push_back({std::string(bytes), ticket.value()});
  return ticket;
}

}  // namespace leat::blobs
