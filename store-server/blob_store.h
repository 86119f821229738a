#pragma once

// blob_store.h - blobs on disk, named by their content.
//
// DIR/ab/cdef…      a blob: the first byte of its SHA-256 in hex, then the other 31; mode 0600
// DIR/incoming/N    an upload that is not finished; swept when the store is opened
// DIR/inputs/HASH   empty: the blob may go when no job needs it; its time is when it last was
// needed DIR/results/HASH  empty: the blob is a result, and stays
//
// A mark is there before its blob is, so that a crash between the two loses and leaks nothing.
//
// A blob's file gets its name only after its bytes are on disk, so what has a name is whole. The
// store does not hash again when it reads: every reader of a whole blob does (blob_client.h).

#include <kj/io.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "base/result.h"
#include "store-server/room.h"
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

// What an upload is for.
enum class Kind : std::uint8_t {
  kInput,   // of jobs: goes when none needs it
  kResult,  // stays
  kOutput,  // a file of a node's spool: takes the place of the one at `path` (output_store.h)
};
struct Target {
  Kind kind = Kind::kResult;
  std::string path = {};
};

// An upload whose bytes have all come and are not on disk yet.
struct SealedBlob {
  Blob blob;
  kj::AutoCloseFd file;
  std::string incoming_path;
  std::uint64_t reserved = 0;
  Target target = {};
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

  // Whether the blob is there to stay: its name is on disk. An input counts as needed just now.
  bool has(const Hash& hash);
  // Refused with kNotFound.
  Result<std::uint64_t> length(const Hash& hash) const;
  // Fills `buffer` from byte `offset`. Refused unless the blob has all these bytes.
  Result<Done> read(const Hash& hash, std::uint64_t offset, std::span<std::byte> buffer) const;

  // Opens an upload of `length` bytes, or kLengthUnknown. Refused with kOverloaded if quota or
  // disk have no room, with kInvalid over kBlobBytesMax. The upload must not outlive the store.
  Result<std::unique_ptr<IncomingBlob>> begin(std::uint64_t length, Target target = {});

  // Syncs the bytes, gives them their name, syncs that. Any thread; touches no member that changes.
  Result<Stored> make_durable(const SealedBlob& sealed) const;
  // Books what make_durable() answered. Every sealed blob must come here once.
  void settle(const SealedBlob& sealed, const Result<Stored>& stored);

  // Deletes inputs that are not in `keep` and that were last needed before `before` (seconds since
  // 1970); those in `keep` count as needed at `now`. At most kDropsMax in one call. Says how many.
  static constexpr std::uint64_t kDropsMax = 4096;
  std::uint64_t drop_inputs(const std::set<Hash>& keep, std::int64_t before, std::int64_t now);

  Usage usage() const;
  Room& room() { return room_; }

 private:
  static constexpr unsigned kSubdirectories = 256;

  friend class IncomingBlob;
  BlobStore(std::string directory, std::uint64_t quota);

  std::string path_of(const Hash& hash) const;
  Result<Done> prepare();
  Result<Done> sweep_incoming();
  Result<Done> count(const std::string& directory);
  std::string input_mark(const Hash& hash) const;
  std::string result_mark(const Hash& hash) const;
  Result<Done> mark(const SealedBlob& sealed) const;
  Result<Stored> name_output(const SealedBlob& sealed) const;

  std::string directory_;
  Room room_;
  std::uint64_t blobs_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t uploads_begun_ = 0;
  std::bitset<kSubdirectories> names_synced_;  // by this life
};

// An upload under way. Destroyed before seal(), it leaves nothing behind.
class IncomingBlob {
 public:
  IncomingBlob(Room& room, kj::AutoCloseFd file, std::string path, Target target,
               std::uint64_t declared);
  ~IncomingBlob();
  IncomingBlob(const IncomingBlob&) = delete;
  IncomingBlob& operator=(const IncomingBlob&) = delete;

  // Refused: more bytes than declared, over quota, disk full. After a refusal only destruction
  // makes sense.
  Result<Done> append(std::span<const std::byte> bytes);
  // No more bytes come. Refused if fewer came than were declared.
  Result<SealedBlob> seal();

 private:
  friend class BlobStore;

  Room& room_;
  kj::AutoCloseFd file_;
  std::string path_;  // empty once sealed
  Target target_;
  std::uint64_t declared_;
  std::uint64_t reserved_ = 0;
  std::uint64_t written_ = 0;
  transport::Sha256 sha256_;
};

}  // namespace leat::blobs
