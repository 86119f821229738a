#include "node-agent/plain_outputs.h"

#include <fcntl.h>
#include <kj/io.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "spool/rank_frames.h"

namespace leat::agent {
namespace {

Refusal refusal_of(const std::string& path, int error) {
  return invalid(path + ": " + std::strerror(error));
}

}  // namespace

struct PlainOutputs::Order {
  RunId run;
  spool::RunPlace place;
  std::string directory;
  Member member;

  // Of the stream in hand.
  std::string path;
  std::string part;
  kj::AutoCloseFd from;
  kj::AutoCloseFd to;
  std::uint64_t offset = 0;
  std::uint64_t left = 0;
  std::optional<spool::RankFrameReader> frames;
  std::string taken_apart;

  ~Order() {
    if (!part.empty()) ::unlink(part.c_str());
  }
};

std::string plain_name(const RunId& run, spool::Stream stream, std::uint32_t member) {
  return std::to_string(run.job.value) + "." +
         (run.stage == 0 ? "" : std::to_string(run.stage) + ".") + std::to_string(run.index) +
         (member == 0 ? "" : ".node-" + std::to_string(member)) +
         (stream == spool::Stream::kError ? ".err" : ".out");
}

int PlainOutputs::why_not(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

kj::Promise<Result<Done>> PlainOutputs::copy(const RunId& run, const spool::RunPlace& place,
                                             const std::string& directory, Member member) {
  auto order = std::make_shared<Order>();
  order->run = run;
  order->place = place;
  order->directory = directory;
  order->member = member;
  auto over = kj::newPromiseAndFulfiller<void>();
  kj::Promise<void> turn = kj::mv(before_);
  // Also when this one is given up.
  before_ = over.promise.catch_([](kj::Exception&&) {});
  return turn.then([this, order]() { return copy_stream(order, spool::Stream::kOutput); })
      .then([this, order](Result<Done> done) -> kj::Promise<Result<Done>> {
        if (!done.ok()) return done;
        return copy_stream(order, spool::Stream::kError);
      })
      .then([over = kj::mv(over.fulfiller)](Result<Done> done) mutable {
        over->fulfill();
        return done;
      });
}

kj::Promise<Result<Done>> PlainOutputs::copy_stream(const OrderPtr& order, spool::Stream stream) {
  const bool is_error = stream == spool::Stream::kError;
  const spool::StreamRange& range = is_error ? order->place.error : order->place.output;
  const std::string name = plain_name(order->run, stream, order->member.value_or(0));
  // The order owns the reader, so it may know it by its address.
  if (order->member)
    order->frames.emplace([to = order.get()](std::uint32_t rank, std::string_view content) {
      if (rank != spool::kAboutRanks) to->taken_apart += content;
    });
  order->path = order->directory + "/" + name;
  order->part = order->directory + "/." + name + "." + std::to_string(order->run.attempt) + ".part";
  order->offset = range.offset;
  order->left = range.length;
  // An empty output may have no file in the spool.
  if (range.length > 0) {
    const std::string from = spool_directory_ + "/" +
                             spool::file_name({order->place.slot, order->place.segment, stream});
    const int fd = ::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return Result<Done>(refusal_of(from, errno));
    order->from = kj::AutoCloseFd(fd);
  }
  ::unlink(order->part.c_str());
  const int fd =
      ::open(order->part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int error = errno;
    const std::string part = std::exchange(order->part, {});
    return Result<Done>(refusal_of(part, error));
  }
  order->to = kj::AutoCloseFd(fd);
  return copy_rest(order);
}

kj::Promise<Result<Done>> PlainOutputs::copy_rest(const OrderPtr& order) {
  std::string buffer(std::min<std::uint64_t>(order->left, kCopiedAtOnce), '\0');
  if (!buffer.empty()) {
    const ssize_t got =
        ::pread(order->from, buffer.data(), buffer.size(), static_cast<off_t>(order->offset));
    if (got <= 0) return Result<Done>(refusal_of(order->path, got < 0 ? errno : EIO));
    buffer.resize(static_cast<std::size_t>(got));
    order->offset += buffer.size();
    order->left -= buffer.size();
    if (order->frames) {
      order->frames->feed(buffer);
      buffer = std::exchange(order->taken_apart, {});
    }
    for (std::size_t at = 0; at < buffer.size();) {
      const ssize_t put = ::write(order->to, buffer.data() + at, buffer.size() - at);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Result<Done>(refusal_of(order->path, errno));
      at += static_cast<std::size_t>(put);
    }
  }
  if (order->left > 0) return kj::evalLater([this, order]() { return copy_rest(order); });
  order->to = nullptr;
  order->from = nullptr;
  const bool named = ::rename(order->part.c_str(), order->path.c_str()) == 0;
  if (!named) return Result<Done>(refusal_of(order->path, errno));
  order->part.clear();
  return Result<Done>(Done{});
}

}  // namespace leat::agent
