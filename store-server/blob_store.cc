#include "store-server/blob_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "transport/secret_file.h"

namespace leat::blobs {
namespace {

std::string error_text(int error) {
  return std::strerror(error);
}

// What a failing disk says to whoever uploads: later it may be better.
Refusal disk_refusal(const std::string& what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return {Reason::kOverloaded, full ? "leat-store's disk is full: free some space and try again"
                                    : "leat-store cannot " + what + ": " + error_text(error)};
}

std::string subdirectory_name(unsigned number) {
  static constexpr char kDigits[] = "0123456789abcdef";
  return {kDigits[number >> 4], kDigits[number & 15]};
}

// Calls visit(name) for each entry but the two dots.
template <typename Visit>
Result<Done> for_each_entry(const std::string& directory, Visit visit) {
  DIR* const entries = ::opendir(directory.c_str());
  if (entries == nullptr) return invalid("cannot read " + directory + ": " + error_text(errno));
  for (;;) {
    errno = 0;
    const struct dirent* const entry = ::readdir(entries);
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") visit(name);
  }
  const int error = errno;
  ::closedir(entries);
  if (error != 0) return invalid("cannot read " + directory + ": " + error_text(error));
  return Done{};
}

Result<Done> sync_directory(const std::string& directory) {
  const int raw = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (raw < 0) return disk_refusal("open " + directory, errno);
  const kj::AutoCloseFd owner(raw);
  if (::fsync(raw) != 0) return disk_refusal("sync " + directory, errno);
  return Done{};
}

int open_blob(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

}  // namespace

BlobStore::BlobStore(std::string directory, std::uint64_t quota)
    : directory_(std::move(directory)) {
  usage_.quota = quota;
}

Result<std::unique_ptr<BlobStore>> BlobStore::open(const std::string& directory,
                                                   std::uint64_t quota) {
  std::unique_ptr<BlobStore> store(new BlobStore(directory, quota));
  const Result<Done> prepared = store->prepare();
  if (!prepared.ok()) return prepared.refusal();
  return store;
}

Result<Done> BlobStore::prepare() {
  const std::string incoming = directory_ + "/incoming";
  for (const std::string& path : {directory_, incoming}) {
    const Result<Done> made = transport::ensure_private_directory(path);
    if (!made.ok()) return made;
  }
  const Result<Done> swept = sweep_incoming();
  if (!swept.ok()) return swept;
  for (unsigned i = 0; i < kSubdirectories; ++i) {
    const std::string path = directory_ + "/" + subdirectory_name(i);
    // Made here, looked at there: that function would sync after each of them.
    ::mkdir(path.c_str(), 0700);
    const Result<Done> made = transport::ensure_private_directory(path);
    if (!made.ok()) return made;
    const Result<Done> counted = count(path);
    if (!counted.ok()) return counted;
  }
  return sync_directory(directory_);
}

Result<Done> BlobStore::sweep_incoming() {
  const std::string incoming = directory_ + "/incoming";
  return for_each_entry(
      incoming, [&](const std::string& name) { ::unlink((incoming + "/" + name).c_str()); });
}

Result<Done> BlobStore::count(const std::string& directory) {
  return for_each_entry(directory, [&](const std::string& name) {
    struct stat status {};
    if (::lstat((directory + "/" + name).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
    ++usage_.blobs;
    usage_.bytes += static_cast<std::uint64_t>(status.st_size);
  });
}

std::string BlobStore::path_of(const Hash& hash) const {
  const std::string text = transport::hash_text(hash);
  return directory_ + "/" + text.substr(0, 2) + "/" + text.substr(2);
}

bool BlobStore::has(const Hash& hash) {
  if (!length(hash).ok()) return false;
  // An earlier life may have named the blob and died before it synced the name.
  const std::size_t number = std::to_integer<std::size_t>(hash[0]);
  if (!names_synced_[number]) {
    const std::string path = path_of(hash);
    names_synced_[number] = sync_directory(path.substr(0, path.rfind('/'))).ok();
  }
  return names_synced_[number];
}

Result<std::uint64_t> BlobStore::length(const Hash& hash) const {
  struct stat status {};
  if (::lstat(path_of(hash).c_str(), &status) != 0 || !S_ISREG(status.st_mode))
    return Refusal{Reason::kNotFound, "leat-store has no blob " + transport::hash_text(hash)};
  return static_cast<std::uint64_t>(status.st_size);
}

Result<Done> BlobStore::read(const Hash& hash, std::uint64_t offset,
                             std::span<std::byte> buffer) const {
  const int raw = open_blob(path_of(hash));
  if (raw < 0)
    return Refusal{Reason::kNotFound, "leat-store has no blob " + transport::hash_text(hash)};
  const kj::AutoCloseFd owner(raw);
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t size =
        ::pread(raw, buffer.data() + done, buffer.size() - done, static_cast<off_t>(offset + done));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return disk_refusal("read a blob", errno);
    if (size == 0) return invalid("the blob ends before the range that was asked for");
    done += static_cast<std::size_t>(size);
  }
  return Done{};
}

Result<Done> BlobStore::reserve(std::uint64_t bytes) {
  const std::uint64_t taken = usage_.bytes + usage_.reserved;
  if (taken > usage_.quota || bytes > usage_.quota - taken)
    return Refusal{Reason::kOverloaded, "leat-store is full: " + std::to_string(taken) + " of " +
                                            std::to_string(usage_.quota) +
                                            " bytes are taken; raise its --quota"};
  usage_.reserved += bytes;
  return Done{};
}

void BlobStore::release(std::uint64_t bytes) {
  LEAT_CHECK(bytes <= usage_.reserved);
  usage_.reserved -= bytes;
}

Result<std::unique_ptr<IncomingBlob>> BlobStore::begin(std::uint64_t length) {
  const bool known = length != transport::kLengthUnknown;
  if (known && length > kBlobBytesMax)
    return invalid("a blob has at most " + std::to_string(kBlobBytesMax) + " bytes");
  const std::uint64_t reserved = known ? length : 0;
  const Result<Done> room = reserve(reserved);
  if (!room.ok()) return room.refusal();
  const std::string path = directory_ + "/incoming/" + std::to_string(++uploads_begun_);
  const int raw = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) {
    const int error = errno;
    release(reserved);
    return disk_refusal("begin an upload", error);
  }
  auto incoming =
      std::make_unique<IncomingBlob>(*this, kj::AutoCloseFd(raw), path, length, reserved);
  // Takes the room on disk now, so that a full disk refuses before a byte has travelled.
  if (reserved > 0 && ::fallocate(raw, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(reserved)) != 0) {
    const int error = errno;
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
      return disk_refusal("begin an upload", error);
  }
  return incoming;
}

Result<Stored> BlobStore::make_durable(const SealedBlob& sealed) const {
  if (::fsync(sealed.file.get()) != 0) {
    const int error = errno;
    ::unlink(sealed.incoming_path.c_str());
    return disk_refusal("sync a blob", error);
  }
  const std::string path = path_of(sealed.blob.hash);
  const int linked = ::link(sealed.incoming_path.c_str(), path.c_str());
  const int error = linked == 0 ? 0 : errno;
  ::unlink(sealed.incoming_path.c_str());
  if (error != 0 && error != EEXIST) return disk_refusal("name a blob", error);
  const Result<Done> synced = sync_directory(path.substr(0, path.rfind('/')));
  if (!synced.ok()) {
    // Nobody was told of the name, and whether it will last is not known.
    if (error == 0) ::unlink(path.c_str());
    return synced.refusal();
  }
  return error == EEXIST ? Stored::kWasThere : Stored::kNew;
}

void BlobStore::settle(const SealedBlob& sealed, const Result<Stored>& stored) {
  release(sealed.reserved);
  if (!stored.ok() || stored.value() == Stored::kWasThere) return;
  ++usage_.blobs;
  usage_.bytes += sealed.blob.length;
}

IncomingBlob::IncomingBlob(BlobStore& store, kj::AutoCloseFd file, std::string path,
                           std::uint64_t declared, std::uint64_t reserved)
    : store_(store),
      file_(kj::mv(file)),
      path_(std::move(path)),
      declared_(declared),
      reserved_(reserved) {}

IncomingBlob::~IncomingBlob() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  store_.release(reserved_);
}

Result<Done> IncomingBlob::append(std::span<const std::byte> bytes) {
  LEAT_CHECK(!path_.empty());
  const std::uint64_t most = std::min(declared_, kBlobBytesMax);
  if (bytes.size() > most - written_) return invalid("the upload has more bytes than it may");
  if (declared_ == transport::kLengthUnknown) {
    const Result<Done> room = store_.reserve(bytes.size());
    if (!room.ok()) return room;
    reserved_ += bytes.size();
  }
  sha256_.update(bytes);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t size = ::write(file_.get(), bytes.data() + done, bytes.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return disk_refusal("write a blob", errno);
    done += static_cast<std::size_t>(size);
  }
  written_ += bytes.size();
  return Done{};
}

Result<SealedBlob> IncomingBlob::seal() {
  LEAT_CHECK(!path_.empty());
  if (declared_ != transport::kLengthUnknown && written_ != declared_)
    return invalid("the upload ended after " + std::to_string(written_) + " of " +
                   std::to_string(declared_) + " bytes");
  return SealedBlob{Blob{sha256_.finish(), written_}, kj::mv(file_), std::exchange(path_, {}),
                    reserved_};
}

}  // namespace leat::blobs
