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
#include "store-server/sync_directory.h"
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

Result<Done> sync_names(const std::string& directory) {
  const int error = sync_directory(directory);
  return error == 0 ? Result<Done>(Done{}) : disk_refusal("sync " + directory, error);
}

int open_blob(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

}  // namespace

BlobStore::BlobStore(std::string directory, std::uint64_t quota)
    : directory_(std::move(directory)), room_(quota) {}

Result<std::unique_ptr<BlobStore>> BlobStore::open(const std::string& directory,
                                                   std::uint64_t quota) {
  std::unique_ptr<BlobStore> store(new BlobStore(directory, quota));
  const Result<Done> prepared = store->prepare();
  if (!prepared.ok()) return prepared.refusal();
  return store;
}

Result<Done> BlobStore::prepare() {
  const std::string incoming = directory_ + "/incoming";
  for (const std::string& path :
       {directory_, incoming, directory_ + "/inputs", directory_ + "/results"}) {
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
  return sync_names(directory_);
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
    ++blobs_;
    bytes_ += static_cast<std::uint64_t>(status.st_size);
    room_.add(static_cast<std::uint64_t>(status.st_size));
  });
}

std::string BlobStore::path_of(const Hash& hash) const {
  const std::string text = transport::hash_text(hash);
  return directory_ + "/" + text.substr(0, 2) + "/" + text.substr(2);
}

bool BlobStore::has(const Hash& hash) {
  if (!length(hash).ok()) return false;
  (void)::utimensat(AT_FDCWD, input_mark(hash).c_str(), nullptr, 0);
  // An earlier life may have named the blob and died before it synced the name.
  const std::size_t number = std::to_integer<std::size_t>(hash[0]);
  if (!names_synced_[number]) {
    const std::string path = path_of(hash);
    names_synced_[number] = sync_names(path.substr(0, path.rfind('/'))).ok();
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

std::string BlobStore::input_mark(const Hash& hash) const {
  return directory_ + "/inputs/" + transport::hash_text(hash);
}

std::string BlobStore::result_mark(const Hash& hash) const {
  return directory_ + "/results/" + transport::hash_text(hash);
}

Usage BlobStore::usage() const {
  return {blobs_, bytes_, room_.reserved(), room_.quota()};
}

Result<std::unique_ptr<IncomingBlob>> BlobStore::begin(std::uint64_t length, Target target) {
  const bool known = length != transport::kLengthUnknown;
  if (known && length > kBlobBytesMax)
    return invalid("a blob has at most " + std::to_string(kBlobBytesMax) + " bytes");
  const std::uint64_t wanted = known ? length : 0;
  const Result<Done> room = room_.reserve(wanted);
  if (!room.ok()) return room.refusal();
  const std::string path = directory_ + "/incoming/" + std::to_string(++uploads_begun_);
  const int raw = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) {
    const int error = errno;
    room_.release(wanted);
    return disk_refusal("begin an upload", error);
  }
  auto incoming =
      std::make_unique<IncomingBlob>(room_, kj::AutoCloseFd(raw), path, std::move(target), length);
  incoming->reserved_ = wanted;
  // Takes the room on disk now, so that a full disk refuses before a byte has travelled.
  if (wanted > 0 && ::fallocate(raw, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(wanted)) != 0) {
    const int error = errno;
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
      return disk_refusal("begin an upload", error);
  }
  return incoming;
}

// Before the blob has its name. One that is there already and has no mark came before there were
// marks: it may be a result.
Result<Done> BlobStore::mark(const SealedBlob& sealed) const {
  const Hash& hash = sealed.blob.hash;
  const bool is_input = sealed.target.kind == Kind::kInput;
  const std::string path = is_input ? input_mark(hash) : result_mark(hash);
  if (is_input && ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0) return Done{};
  if (is_input && length(hash).ok()) return Done{};
  const int raw = ::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return disk_refusal("mark a blob", errno);
  ::close(raw);
  // A lost mark of an input keeps it for ever; that of a result would let it go.
  return is_input ? Result<Done>(Done{}) : sync_names(directory_ + "/results");
}

Result<Stored> BlobStore::name_output(const SealedBlob& sealed) const {
  const std::string& path = sealed.target.path;
  if (::rename(sealed.incoming_path.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(sealed.incoming_path.c_str());
    return disk_refusal("name a file", error);
  }
  const Result<Done> synced = sync_names(path.substr(0, path.rfind('/')));
  if (!synced.ok()) return synced.refusal();
  return Stored::kNew;
}

Result<Stored> BlobStore::make_durable(const SealedBlob& sealed) const {
  if (::fsync(sealed.file.get()) != 0) {
    const int error = errno;
    ::unlink(sealed.incoming_path.c_str());
    return disk_refusal("sync a blob", error);
  }
  if (sealed.target.kind == Kind::kOutput) return name_output(sealed);
  const Result<Done> marked = mark(sealed);
  if (!marked.ok()) {
    ::unlink(sealed.incoming_path.c_str());
    return marked.refusal();
  }
  const std::string path = path_of(sealed.blob.hash);
  const int linked = ::link(sealed.incoming_path.c_str(), path.c_str());
  const int error = linked == 0 ? 0 : errno;
  ::unlink(sealed.incoming_path.c_str());
  if (error != 0 && error != EEXIST) return disk_refusal("name a blob", error);
  const Result<Done> synced = sync_names(path.substr(0, path.rfind('/')));
  if (!synced.ok()) {
    // Nobody was told of the name, and whether it will last is not known.
    if (error == 0) ::unlink(path.c_str());
    return synced.refusal();
  }
  return error == EEXIST ? Stored::kWasThere : Stored::kNew;
}

void BlobStore::settle(const SealedBlob& sealed, const Result<Stored>& stored) {
  room_.release(sealed.reserved);
  const bool is_blob = sealed.target.kind != Kind::kOutput;
  if (!stored.ok() || stored.value() == Stored::kWasThere || !is_blob) return;
  ++blobs_;
  bytes_ += sealed.blob.length;
  room_.add(sealed.blob.length);
}

std::uint64_t BlobStore::drop_inputs(const std::set<Hash>& keep, std::int64_t before,
                                     std::int64_t now) {
  std::uint64_t dropped = 0;
  std::set<std::string> kept_names;
  for (const Hash& hash : keep) kept_names.insert(transport::hash_text(hash));
  std::vector<std::string> names;
  (void)for_each_entry(directory_ + "/inputs",
                       [&names](const std::string& name) { names.push_back(name); });
  for (const std::string& name : names) {
    if (dropped == kDropsMax) break;
    const std::string input = directory_ + "/inputs/" + name;
    struct stat status {};
    if (::lstat(input.c_str(), &status) != 0 || status.st_mtime >= before) continue;
    if (kept_names.contains(name)) {
      const struct timespec times[2] = {{now, 0}, {now, 0}};
      (void)::utimensat(AT_FDCWD, input.c_str(), times, 0);
      continue;
    }
    const std::string blob = directory_ + "/" + name.substr(0, 2) + "/" + name.substr(2);
    const bool is_result = ::lstat((directory_ + "/results/" + name).c_str(), &status) == 0;
    if (!is_result && name.size() == 2 * sizeof(Hash) && ::lstat(blob.c_str(), &status) == 0 &&
        ::unlink(blob.c_str()) == 0) {
      const auto size = static_cast<std::uint64_t>(status.st_size);
      --blobs_;
      bytes_ -= size;
      room_.remove(size);
      ++dropped;
    }
    ::unlink(input.c_str());
  }
  return dropped;
}

IncomingBlob::IncomingBlob(Room& room, kj::AutoCloseFd file, std::string path, Target target,
                           std::uint64_t declared)
    : room_(room),
      file_(kj::mv(file)),
      path_(std::move(path)),
      target_(std::move(target)),
      declared_(declared) {}

IncomingBlob::~IncomingBlob() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  room_.release(reserved_);
}

Result<Done> IncomingBlob::append(std::span<const std::byte> bytes) {
  LEAT_CHECK(!path_.empty());
  const std::uint64_t most = std::min(declared_, kBlobBytesMax);
  if (bytes.size() > most - written_) return invalid("the upload has more bytes than it may");
  if (declared_ == transport::kLengthUnknown) {
    const Result<Done> room = room_.reserve(bytes.size());
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
                    reserved_, target_};
}

}  // namespace leat::blobs
