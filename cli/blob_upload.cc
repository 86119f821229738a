#include "cli/blob_upload.h"

#include <fcntl.h>
#include <kj/debug.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "definitions/units.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::uint64_t kBlobBytesMax = std::uint64_t{1} << 40;
// The store or the head may be away for so long before we give up.
constexpr Duration kUploadPatience = std::chrono::seconds(30);

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

kj::AutoCloseFd open_nameless(const Home& home) {
  const int nameless = ::open(home.path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (nameless >= 0) return kj::AutoCloseFd(nameless);
  // Not every file system can.
  (void)value_or_fail(transport::ensure_private_directory(home.scratch()));
  std::string path = home.scratch() + "/lines-XXXXXX";
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) fail(ExitCode::kRefused, path + ": " + std::strerror(errno));
  ::unlink(path.c_str());
  return kj::AutoCloseFd(fd);
}

void write_fully(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      fail(ExitCode::kRefused, std::string("no room for the input: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

NamelessFile::NamelessFile(const Home& home) : fd_(open_nameless(home)) {}

void NamelessFile::append(std::string_view bytes) {
  sha256_.update(bytes_of(bytes));
  length_ += bytes.size();
  buffer_ += bytes;
  if (buffer_.size() >= kReadBytes) flush();
}

transport::Blob NamelessFile::finish() {
  flush();
  return {sha256_.finish(), length_};
}

void NamelessFile::flush() {
  write_fully(fd_, buffer_);
  buffer_.clear();
}

void OffsetTable::add(std::uint64_t offset) {
  std::string entry;
  for (int i = 0; i < 8; ++i) entry += static_cast<char>(offset >> (8 * i) & 0xff);
  file_.append(entry);
}

InputFile::InputFile(const Home& home, const Surroundings& surroundings, std::string path)
    : path_(std::move(path)) {
  if (path_ == "-") {
    fd_ = kj::AutoCloseFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    copy_.emplace(home);
    return;
  }
  if (path_.empty()) fail(ExitCode::kUsage, "the name of the input file is empty");
  const std::string whole = path_.front() == '/' ? path_ : surroundings.directory + '/' + path_;
  const int fd = ::open(whole.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0)
    fail(ExitCode::kUsage, path_ + ": " + std::strerror(errno));
  fd_ = kj::AutoCloseFd(fd);
  if (S_ISDIR(info.st_mode)) fail(ExitCode::kUsage, path_ + ": is a directory, not a file");
  if (!S_ISREG(info.st_mode)) copy_.emplace(home);
}

transport::Blob InputFile::read(const std::function<void(std::string_view)>& visit) {
  transport::Sha256 sha256;
  std::uint64_t length = 0;
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const ssize_t size = ::read(fd_, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail(ExitCode::kUsage, path_ + ": " + std::strerror(errno));
    if (size == 0) break;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
    length += bytes.size();
    if (length > kBlobBytesMax) fail(ExitCode::kUsage, path_ + ": longer than 1 TiB");
    visit(bytes);
    sha256.update(bytes_of(bytes));
    KJ_IF_MAYBE (kept, copy_) kept->append(bytes);
  }
  KJ_IF_MAYBE (kept, copy_) kept->finish();
  return {sha256.finish(), length};
}

int InputFile::fd() const {
  KJ_IF_MAYBE (kept, copy_) return kept->fd();
  return fd_;
}

Uploader::Uploader(Shell& shell, Head& head)
    : shell_(shell), head_(head), link_(shell), backoff_(Random(shell.surroundings.fresh_seed)) {}

void Uploader::upload(int fd, const transport::Blob& blob, const std::string& what) {
  kj::Timer& timer = shell_.io.provider->getTimer();
  const kj::TimePoint give_up = timer.now() + transport::to_kj(kUploadPatience);
  for (;;) {
    const Result<transport::Blob> stored = attempt(fd, blob);
    if (stored.ok()) {
      if (stored.value() == blob) return;
      fail(ExitCode::kUsage, what + ": changed while it was read: try again");
    }
    const Reason reason = stored.refusal().reason;
    if (reason != Reason::kDisconnected || timer.now() >= give_up)
      fail(stored.refusal(), what + ": ");
    timer.afterDelay(transport::to_kj(backoff_.next())).wait(shell_.io.waitScope);
  }
}

Result<transport::Blob> Uploader::attempt(int fd, const transport::Blob& blob) {
  const auto permit =
      head_.ask([](schema::Scheduler::Client& head) { return head.uploadRequest().send(); },
                Patience{kUploadPatience, "nothing was submitted, try again"});
  const std::string ticket(permit.getTicket().asChars().begin(), permit.getTicket().size());
  kj::Maybe<schema::BlobServer::Client> found = link_.to_store(permit.getAddress().cStr());
  KJ_IF_MAYBE (store, found) {
    Result<bool> present = transport::has_blob(*store, ticket, blob.hash).wait(shell_.io.waitScope);
    if (!present.ok()) return present.refusal();
    if (present.value()) return blob;
    return transport::put_blob(*store, ticket, blob.length, counted(fd, blob.length))
        .wait(shell_.io.waitScope);
  }
  return Refusal{Reason::kDisconnected, "leat-store does not answer: see leat status"};
}

// The file's bytes, with a line on the terminal about how many have gone.
transport::BlobSource Uploader::counted(int fd, std::uint64_t length) {
  return [this, length, sent = std::uint64_t{0},
          source = transport::file_source(fd, 0, length)](kj::ArrayPtr<kj::byte> buffer) mutable {
    shell_.console.progress("uploading " + definitions::show_size(sent) + " of " +
                            definitions::show_size(length));
    sent += std::min<std::uint64_t>(buffer.size(), length - sent);
    return source(buffer);
  };
}

}  // namespace leat::cli
