#include "cli/line_input.h"

#include <fcntl.h>
#include <kj/io.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "cli/data_link.h"
#include "cli/line_index.h"
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

// A file without a name: it goes with the process.
kj::AutoCloseFd open_nameless(const Home& home) {
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
      fail(ExitCode::kRefused, std::string("no room for the lines: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Bytes on their way to a nameless file, named by content as they come.
class NamelessFile {
 public:
  explicit NamelessFile(const Home& home) : fd_(open_nameless(home)) {}

  void append(std::string_view bytes) {
    sha256_.update(bytes_of(bytes));
    length_ += bytes.size();
    buffer_ += bytes;
    if (buffer_.size() >= kReadBytes) flush();
  }

  transport::Blob finish() {
    flush();
    return {sha256_.finish(), length_};
  }

  int fd() const { return fd_; }

 private:
  void flush() {
    write_fully(fd_, buffer_);
    buffer_.clear();
  }

  kj::AutoCloseFd fd_;
  transport::Sha256 sha256_;
  std::uint64_t length_ = 0;
  std::string buffer_;
};

struct OpenFile {
  kj::AutoCloseFd fd;
  bool is_regular = false;
};

OpenFile open_lines(const Surroundings& surroundings, const std::string& path) {
  if (path == "-") return {kj::AutoCloseFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)), false};
  const std::string whole = path.front() == '/' ? path : surroundings.directory + '/' + path;
  const int fd = ::open(whole.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0) fail(ExitCode::kUsage, path + ": " + std::strerror(errno));
  if (S_ISDIR(info.st_mode)) fail(ExitCode::kUsage, path + ": is a directory, not a file of lines");
  return {kj::AutoCloseFd(fd), S_ISREG(info.st_mode)};
}

// One blob's way to the store, repeated while the store or the head is away.
class Uploader {
 public:
  Uploader(Shell& shell, Head& head)
      : shell_(shell), head_(head), link_(shell), backoff_(Random(shell.surroundings.fresh_seed)) {}

  void upload(int fd, const transport::Blob& blob) {
    kj::Timer& timer = shell_.io.provider->getTimer();
    const kj::TimePoint give_up = timer.now() + transport::to_kj(kUploadPatience);
    for (;;) {
      const Result<transport::Blob> stored = attempt(fd, blob);
      if (stored.ok()) {
        if (stored.value() == blob) return;
        fail(ExitCode::kUsage, "the lines changed while they were read: try again");
      }
      const Reason reason = stored.refusal().reason;
      if (reason != Reason::kDisconnected || timer.now() >= give_up)
        fail(stored.refusal(), "leat-store: ");
      timer.afterDelay(transport::to_kj(backoff_.next())).wait(shell_.io.waitScope);
    }
  }

 private:
  Result<transport::Blob> attempt(int fd, const transport::Blob& blob) {
    const auto permit =
        head_.ask([](schema::Scheduler::Client& head) { return head.uploadRequest().send(); },
                  Patience{kUploadPatience, "nothing was submitted, try again"});
    const std::string ticket(permit.getTicket().asChars().begin(), permit.getTicket().size());
    kj::Maybe<schema::BlobServer::Client> found = link_.to_store(permit.getAddress().cStr());
    KJ_IF_MAYBE (store, found) {
      Result<bool> present =
          transport::has_blob(*store, ticket, blob.hash).wait(shell_.io.waitScope);
      if (!present.ok()) return present.refusal();
      if (present.value()) return blob;
      return transport::put_blob(*store, ticket, blob.length, counted(fd, blob.length))
          .wait(shell_.io.waitScope);
    }
    return Refusal{Reason::kDisconnected, "does not answer: see leat status"};
  }

  // The file's bytes, with a line on the terminal about how many have gone.
  transport::BlobSource counted(int fd, std::uint64_t length) {
    return [this, length, sent = std::uint64_t{0},
            source = transport::file_source(fd, 0, length)](kj::ArrayPtr<kj::byte> buffer) mutable {
      shell_.console.progress("uploading " + definitions::show_size(sent) + " of " +
                              definitions::show_size(length));
      sent += std::min<std::uint64_t>(buffer.size(), length - sent);
      return source(buffer);
    };
  }

  Shell& shell_;
  Head& head_;
  DataLink link_;
  transport::Backoff backoff_;
};

}  // namespace

LinesRequest upload_lines(Shell& shell, Head& head, const std::string& path, std::uint64_t chunk) {
  const OpenFile file = open_lines(shell.surroundings, path);
  kj::Maybe<NamelessFile> copy;
  if (!file.is_regular) copy.emplace(shell.home);
  NamelessFile table(shell.home);
  transport::Sha256 sha256;
  LineIndex index(chunk, [&table](std::uint64_t offset) {
    std::string entry;
    for (int i = 0; i < 8; ++i) entry += static_cast<char>(offset >> (8 * i) & 0xff);
    table.append(entry);
  });
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const ssize_t size = ::read(file.fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail(ExitCode::kUsage, path + ": " + std::strerror(errno));
    if (size == 0) break;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
    index.feed(bytes);
    sha256.update(bytes_of(bytes));
    KJ_IF_MAYBE (kept, copy) kept->append(bytes);
    if (index.tasks() > kTasksPerJobMax)
      fail(ExitCode::kUsage, path + ": more than 2^32 tasks: give a larger --chunk");
    if (index.length() > kBlobBytesMax) fail(ExitCode::kUsage, path + ": longer than 1 TiB");
  }
  if (index.lines() == 0) fail(ExitCode::kUsage, path + ": empty: one task per line is made");
  index.finish();

  const transport::Blob data{sha256.finish(), index.length()};
  const transport::Blob offsets = table.finish();
  int data_fd = file.fd;
  KJ_IF_MAYBE (kept, copy) {
    kept->finish();
    data_fd = kept->fd();
  }
  Uploader uploader(shell, head);
  uploader.upload(data_fd, data);
  uploader.upload(table.fd(), offsets);
  return {data, offsets, chunk, index.lines()};
}

}  // namespace leat::cli
