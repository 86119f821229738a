#pragma once

// blob_store.h - blobs on disk, named by their content.
//
// DIR/ab/cdef…    a blob: the first byte of its SHA-256 in hex, then the other 31; mode 0600
// DIR/incoming/N  an upload that is not finished; swept when the store is opened
//
// A blob's file gets its name only after its bytes are on disk, so what has a name is whole. The
// store does not hash again when it reads: every reader of a whole blob does (blob_client.h).

#include <kj/io.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "transport/blob_client.h"

namespace leat::blobs {

using transport::Blob;
using transport::Hash;

inline constexpr std::uint64_t kBlobBytesMax = std::uint64_t{1} << 40;

struct Usage {
  std::uint64_t blobs = 0;
  std::uint64_t bytes = 0;     // of blobs that are whole
  std::uint64_t reserved = 0;  // for uploads under way
  std::uint64_t quota = 0;
};

// An upload whose bytes have all come and are not on disk yet.
struct SealedBlob {
  Blob blob;
  kj::AutoCloseFd file;
  std::string incoming_path;
  std::uint64_t reserved = 0;
};

enum class Stored : std::uint8_t { kNew, kWasThere };

class IncomingBlob;

// Owns the directory; one process at a time (the caller holds a lock). Thread: one, but for
// make_durable(), which any thread may call. Members block for as long as the disk does.
class BlobStore {
 public:
  // Makes or verifies the directories (mode 0700, ours), sweeps what earlier lives left unfinished
  // and counts what is there. Refused if a directory is not ours alone.
  static Result<std::unique_ptr<BlobStore>> open(const std::string& directory, std::uint64_t quota);

  // Whether the blob is there to stay: its name is on disk.
  bool has(const Hash& hash);
  // Refused with kNotFound.
  Result<std::uint64_t> length(const Hash& hash) const;
  // Fills `buffer` from byte `offset`. Refused unless the blob has all these bytes.
  Result<Done> read(const Hash& hash, std::uint64_t offset, std::span<std::byte> buffer) const;

  // Opens an upload of `length` bytes, or kLengthUnknown. Refused with kOverloaded if quota or
  // disk have no room, with kInvalid over kBlobBytesMax. The upload must not outlive the store.
  Result<std::unique_ptr<IncomingBlob>> begin(std::uint64_t length);

  // Syncs the bytes, gives them their name, syncs that. Any thread; touches no member that changes.
  Result<Stored> make_durable(const SealedBlob& sealed) const;
  // Books what make_durable() answered. Every sealed blob must come here once.
  void settle(const SealedBlob& sealed, const Result<Stored>& stored);

  Usage usage() const { return usage_; }

 private:
  static constexpr unsigned kSubdirectories = 256;

  friend class IncomingBlob;
  BlobStore(std::string directory, std::uint64_t quota);

  std::string path_of(const Hash& hash) const;
  Result<Done> prepare();
  Result<Done> sweep_incoming();
  Result<Done> count(const std::string& directory);
  // Sets `bytes` of the quota aside.
  Result<Done> reserve(std::uint64_t bytes);
  void release(std::uint64_t bytes);

  std::string directory_;
  Usage usage_;
  std::uint64_t uploads_begun_ = 0;
  std::bitset<kSubdirectories> names_synced_;  // by this life
};

// An upload under way. Destroyed before seal(), it leaves nothing behind.
class IncomingBlob {
 public:
  IncomingBlob(BlobStore& store, kj::AutoCloseFd file, std::string path, std::uint64_t declared,
               std::uint64_t reserved);
  ~IncomingBlob();
  IncomingBlob(const IncomingBlob&) = delete;
  IncomingBlob& operator=(const IncomingBlob&) = delete;

  // Refused: more bytes than declared, over quota, disk full. After a refusal only destruction
  // makes sense.
  Result<Done> append(std::span<const std::byte> bytes);
  // No more bytes come. Refused if fewer came than were declared.
  Result<SealedBlob> seal();

 private:
  BlobStore& store_;
  kj::AutoCloseFd file_;
  std::string path_;  // empty once sealed
  std::uint64_t declared_;
  std::uint64_t reserved_;
  std::uint64_t written_ = 0;
  transport::Sha256 sha256_;
};

}  // namespace leat::blobs
