#include "transport/blob_client.h"

#include <capnp/message.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include "base/check.h"
#include "transport/openssl_handles.h"
#include "transport/wire_refusal.h"

namespace leat::transport {
namespace {

// Exceptions mean transport: whatever went wrong, the answer is not known.
Refusal refusal_from(const kj::Exception& exception) {
  const Reason reason = exception.getType() == kj::Exception::Type::OVERLOADED
                            ? Reason::kOverloaded
                            : Reason::kDisconnected;
  return {reason, "leat-store did not answer: " + std::string(exception.getDescription().cStr())};
}

capnp::Data::Reader data_of(std::string_view bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}

capnp::Data::Reader data_of(const Hash& hash) {
  return {reinterpret_cast<const kj::byte*>(hash.data()), hash.size()};
}

std::span<const std::byte> span_of(kj::ArrayPtr<const kj::byte> bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()};
}

// Room for a message that carries `bytes` of data and little else.
capnp::MessageSize size_for(std::size_t bytes) {
  return {bytes / sizeof(capnp::word) + 64, 0};
}

// One upload under way. Lives on the heap until its promise is done.
struct Upload {
  schema::Upload::Client server = nullptr;
  BlobSource source;
  kj::Array<kj::byte> buffer;
  Sha256 sha256;
  std::uint64_t sent = 0;
  bool source_failed = false;
  std::string source_error;

  kj::Promise<void> send_all();
  kj::Promise<Result<Blob>> finish();
};

kj::Promise<void> Upload::send_all() {
  kj::Promise<std::size_t> some =
      kj::evalNow([this] { return source(buffer); }).catch_([this](kj::Exception&& e) {
        source_failed = true;
        source_error = e.getDescription().cStr();
        return std::size_t{0};
      });
  return some.then([this](std::size_t size) -> kj::Promise<void> {
    if (size == 0) return kj::READY_NOW;
    LEAT_CHECK(size <= buffer.size());
    const kj::ArrayPtr<const kj::byte> bytes = buffer.slice(0, size);
    sha256.update(span_of(bytes));
    sent += size;
    auto request = server.writeRequest(size_for(size));
    request.setData(bytes);
    // Resolves when the window has room again, not when the bytes have arrived.
    return request.send().then([this] { return send_all(); });
  });
}

kj::Promise<Result<Blob>> Upload::finish() {
  if (source_failed)
    return Result<Blob>(Refusal{Reason::kConflict, "cannot read the input: " + source_error});
  // The one call that is waited for: streaming calls die with the capability.
  return server.finishRequest().send().then([this](auto&& response) -> Result<Blob> {
    const schema::FinishResult::Reader result = response;
    if (result.isRefusal()) return read_refusal(result.getRefusal());
    const Blob ours{sha256.finish(), sent};
    Result<Hash> hash = hash_from_bytes(span_of(result.getBlob().getHash()));
    if (!hash.ok()) return hash.refusal();
    if (Blob{hash.value(), result.getBlob().getLength()} != ours)
      return invalid("leat-store answered for other bytes than were sent");
    return ours;
  });
}

// What `opened` lets us upload; the answer says what of it has come.
template <typename Opened>
kj::Promise<Result<Blob>> upload_through(Opened opened, BlobSource source) {
  kj::Own<Upload> upload = kj::heap<Upload>();
  upload->source = std::move(source);
  upload->buffer = kj::heapArray<kj::byte>(kBlobChunkBytes);
  Upload& u = *upload;
  return opened
      .then([&u](auto&& response) -> kj::Promise<Result<Blob>> {
        schema::PutResult::Reader result = response;
        if (result.isRefusal()) return Result<Blob>(read_refusal(result.getRefusal()));
        u.server = result.getUpload();
        return u.send_all().then([&u] { return u.finish(); });
      })
      .catch_([](kj::Exception&& e) -> Result<Blob> { return refusal_from(e); })
      .attach(kj::mv(upload));
}

// One range under way.
struct Reading {
  using Answer = kj::Promise<capnp::Response<schema::ReadResult>>;
  struct Call {
    std::size_t length;
    Answer answer;
  };

  schema::BlobServer::Client store;
  std::string ticket;
  Hash hash;
  std::uint64_t next = 0;  // first byte not asked for
  std::uint64_t end = 0;
  BlobSink sink;
  std::deque<Call> calls = {};

  void ask_ahead();
  kj::Promise<Result<Done>> take_all();
};

void Reading::ask_ahead() {
  while (next < end && calls.size() < kBlobReadsAhead) {
    const std::size_t length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kBlobChunkBytes, end - next));
    auto request = store.readRequest();
    request.setTicket(data_of(ticket));
    request.setHash(data_of(hash));
    request.setOffset(next);
    request.setLength(static_cast<std::uint32_t>(length));
    next += length;
    calls.push_back({length, request.send()});
  }
}

kj::Promise<Result<Done>> Reading::take_all() {
  ask_ahead();
  if (calls.empty()) return Result<Done>(Done{});
  Call call = kj::mv(calls.front());
  calls.pop_front();
  return call.answer.then([this, length = call.length](auto&& response) {
    const schema::ReadResult::Reader result = response;
    if (result.isRefusal())
      return kj::Promise<Result<Done>>(Result<Done>(read_refusal(result.getRefusal())));
    const capnp::Data::Reader data = result.getBytes().getData();
    if (data.size() != length)
      return kj::Promise<Result<Done>>(
          Result<Done>(invalid("the blob ends before the range that was asked for")));
    return kj::evalNow([this, data] { return sink(data); })
        .attach(kj::mv(response))
        .then([this] { return take_all(); },
              [this](kj::Exception&& e) -> kj::Promise<Result<Done>> {
                return Result<Done>(
                    Refusal{Reason::kConflict,
                            "cannot write what came: " + std::string(e.getDescription().cStr())});
              });
  });
}

}  // namespace

struct Sha256::Context {
  DigestHandle digest{EVP_MD_CTX_new()};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  LEAT_CHECK(EVP_DigestInit_ex(context_->digest.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  LEAT_CHECK(EVP_DigestUpdate(context_->digest.get(), bytes.data(), bytes.size()) == 1);
}

Hash Sha256::finish() {
  Hash hash;
  LEAT_CHECK(EVP_DigestFinal_ex(context_->digest.get(),
                                reinterpret_cast<unsigned char*>(hash.data()), nullptr) == 1);
  return hash;
}

std::string hash_text(const Hash& hash) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : hash) {
    text += kDigits[std::to_integer<unsigned>(byte >> 4)];
    text += kDigits[std::to_integer<unsigned>(byte & std::byte{15})];
  }
  return text;
}

Result<Hash> hash_from_bytes(std::span<const std::byte> bytes) {
  Hash hash;
  if (bytes.size() != hash.size()) return invalid("a blob's hash has 32 bytes");
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

BlobSource file_source(int fd, std::uint64_t offset, std::uint64_t length) {
  return [fd, offset, left = length](kj::ArrayPtr<kj::byte> buffer) mutable {
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
    ssize_t size = 0;
    KJ_SYSCALL(size = ::pread(fd, buffer.begin(), wanted, static_cast<off_t>(offset)));
    const std::size_t got = static_cast<std::size_t>(size);
    KJ_REQUIRE(got > 0 || wanted == 0, "the file became shorter while it was read");
    offset += got;
    left -= got;
    return kj::Promise<std::size_t>(got);
  };
}

BlobSource memory_source(std::string bytes) {
  return [bytes = std::move(bytes), taken = std::size_t{0}](kj::ArrayPtr<kj::byte> buffer) mutable {
    const std::size_t size = std::min(bytes.size() - taken, buffer.size());
    if (size > 0) std::memcpy(buffer.begin(), bytes.data() + taken, size);
    taken += size;
    return kj::Promise<std::size_t>(size);
  };
}

kj::Promise<Result<Blob>> put_blob(schema::BlobServer::Client store, const std::string& ticket,
                                   std::uint64_t length, BlobSource source) {
  auto request = store.putRequest();
  request.setTicket(data_of(ticket));
  request.setLength(length);
  return upload_through(request.send(), std::move(source)).attach(kj::mv(store));
}

kj::Promise<Result<Blob>> put_output(schema::BlobServer::Client store, const std::string& ticket,
                                     const std::string& name, std::uint64_t length,
                                     BlobSource source) {
  auto request = store.putOutputsRequest();
  request.setTicket(data_of(ticket));
  request.getFile().setName(name.c_str());
  request.getFile().setLength(length);
  return upload_through(request.send(), std::move(source)).attach(kj::mv(store));
}

kj::Promise<Result<bool>> has_blob(schema::BlobServer::Client store, const std::string& ticket,
                                   Hash hash) {
  auto request = store.hasRequest();
  request.setTicket(data_of(ticket));
  request.setHash(data_of(hash));
  return request.send()
      .then([](auto&& response) -> Result<bool> { return response.getPresent(); })
      .catch_([](kj::Exception&& e) -> Result<bool> { return refusal_from(e); })
      .attach(kj::mv(store));
}

kj::Promise<Result<Done>> get_range(schema::BlobServer::Client store, std::string ticket, Hash hash,
                                    std::uint64_t offset, std::uint64_t length, BlobSink sink) {
  if (length > ~std::uint64_t{0} - offset) return Result<Done>(invalid("a range past all ends"));
  kj::Own<Reading> reading = kj::heap<Reading>(
      Reading{kj::mv(store), std::move(ticket), hash, offset, offset + length, std::move(sink)});
  Reading& r = *reading;
  return kj::evalNow([&r] { return r.take_all(); })
      .catch_([](kj::Exception&& e) -> Result<Done> { return refusal_from(e); })
      .attach(kj::mv(reading));
}

kj::Promise<Result<Done>> get_blob(schema::BlobServer::Client store, std::string ticket, Blob blob,
                                   BlobSink sink) {
  auto sha256 = std::make_shared<Sha256>();
  BlobSink hashing = [sha256, sink = std::move(sink)](kj::ArrayPtr<const kj::byte> bytes) {
    sha256->update(span_of(bytes));
    return sink(bytes);
  };
  return get_range(kj::mv(store), std::move(ticket), blob.hash, 0, blob.length, std::move(hashing))
      .then([sha256, blob](Result<Done> done) -> Result<Done> {
        if (done.ok() && sha256->finish() != blob.hash)
          return invalid("blob " + hash_text(blob.hash) +
                         " is damaged: its bytes bear another name");
        return done;
      });
}

kj::Promise<Result<std::string>> get_bytes(schema::BlobServer::Client store, std::string ticket,
                                           Hash hash, std::uint64_t offset, std::uint64_t length,
                                           std::uint64_t length_max) {
  if (length > length_max) return Result<std::string>(invalid("more bytes than one may ask for"));
  auto bytes = std::make_shared<std::string>();
  BlobSink append = [bytes](kj::ArrayPtr<const kj::byte> more) -> kj::Promise<void> {
    bytes->append(reinterpret_cast<const char*>(more.begin()), more.size());
    return kj::READY_NOW;
  };
  return get_range(kj::mv(store), std::move(ticket), hash, offset, length, std::move(append))
      .then([bytes](const Result<Done>& done) -> Result<std::string> {
        if (!done.ok()) return done.refusal();
        return std::move(*bytes);
      });
}

}  // namespace leat::transport
