#pragma once

// blob_client.h - blobs to and from leat-store, as streams with bounded memory.
//
// A blob is named by the SHA-256 of its bytes. The store proves the name when it takes a blob in;
// whoever reads one whole proves it again, so that damage on a disk never passes for content.

#include <kj/async.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "schema/data.capnp.h"
#include "transport/token.h"

namespace leat::transport {

// Bytes in one call, either way.
inline constexpr std::size_t kBlobChunkBytes = 256 * 1024;
// Calls under way at once when reading.
inline constexpr std::size_t kBlobReadsAhead = 4;
// A length for put_blob() that is not known before the end.
inline constexpr std::uint64_t kLengthUnknown = ~std::uint64_t{0};

// A blob's name and size; an empty blob has a hash too.
struct Blob {
  Hash hash{};
  std::uint64_t length = 0;

  friend bool operator==(const Blob&, const Blob&) = default;
};

// "ab12…", 64 lower-case digits.
std::string hash_text(const Hash& hash);
// Refused unless 32 bytes.
Result<Hash> hash_from_bytes(std::span<const std::byte> bytes);

// SHA-256 of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);
  // Once, at the end.
  Hash finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Fills `buffer` with at least one byte and says how many; 0 is the end. The buffer is valid
// until the promise resolves.
using BlobSource = std::function<kj::Promise<std::size_t>(kj::ArrayPtr<kj::byte> buffer)>;

// Takes the next bytes, in order; they are valid until the promise resolves.
using BlobSink = std::function<kj::Promise<void>(kj::ArrayPtr<const kj::byte> bytes)>;

// Bytes `offset` .. offset + length - 1 of a file; reads block. Borrows the descriptor.
BlobSource file_source(int fd, std::uint64_t offset, std::uint64_t length);
// Owns the bytes.
BlobSource memory_source(std::string bytes);

// Uploads what `source` gives, `length` bytes or kLengthUnknown. On success the blob is whole and
// on the store's disk. Refusals: kOverloaded (quota, disk, too many uploads), kDisconnected (the
// store may or may not have it: ask again), kInvalid, kConflict when the source failed. Never
// rejects. Dropping the promise drops the upload.
kj::Promise<Result<Blob>> put_blob(schema::BlobServer::Client store, const std::string& ticket,
                                   std::uint64_t length, BlobSource source);

// The same for a file of the caller's own spool, which takes the place of one of that name.
kj::Promise<Result<Blob>> put_output(schema::BlobServer::Client store, const std::string& ticket,
                                     const std::string& name, std::uint64_t length,
                                     BlobSource source);

// Whether the store has the blob already. Never rejects.
kj::Promise<Result<bool>> has_blob(schema::BlobServer::Client store, const std::string& ticket,
                                   Hash hash);

// Bytes `offset` .. offset + length - 1 into `sink`, several calls ahead of it. Refused if the
// blob is shorter. Proves nothing: ranges have no name. Never rejects.
kj::Promise<Result<Done>> get_range(schema::BlobServer::Client store, std::string ticket, Hash hash,
                                    std::uint64_t offset, std::uint64_t length, BlobSink sink);

// The whole blob into `sink`, and then the proof: refused with kInvalid if the bytes that came do
// not bear the blob's name (the sink has taken them by then). Never rejects.
kj::Promise<Result<Done>> get_blob(schema::BlobServer::Client store, std::string ticket, Blob blob,
                                   BlobSink sink);

// The range in memory, for small ones. Refused with kInvalid over `length_max`.
kj::Promise<Result<std::string>> get_bytes(schema::BlobServer::Client store, std::string ticket,
                                           Hash hash, std::uint64_t offset, std::uint64_t length,
                                           std::uint64_t length_max = 64 * 1024 * 1024);

}  // namespace leat::transport
