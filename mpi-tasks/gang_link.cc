#include "mpi-tasks/gang_link.h"

#include <kj/debug.h>

#include <array>
#include <utility>

namespace leat::mpi {
namespace {

constexpr std::size_t kLengthBytes = 4;

std::size_t length_of(const std::array<unsigned char, kLengthBytes>& header) {
  std::size_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | header[i];
  return length;
}

struct Incoming {
  std::array<unsigned char, kLengthBytes> header{};
  std::string bytes;
};

}  // namespace

GangLink::GangLink(kj::Own<kj::AsyncIoStream> stream)
    : stream_(kj::mv(stream)), closing_(nullptr), tasks_(*this) {
  auto close = kj::newPromiseAndFulfiller<void>();
  close_ = kj::mv(close.fulfiller);
  closing_ = close.promise.fork();
}

GangLink::~GangLink() noexcept(false) = default;

void GangLink::send_encoded(const std::string& bytes) {
  if (closed_) return;
  if (bytes.size() > kMessageBytesMax || queued_.size() + bytes.size() > kQueuedBytesMax)
    return close();
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    queued_.push_back(static_cast<char>((bytes.size() >> (8 * i)) & 0xff));
  queued_ += bytes;
  if (!std::exchange(write_pending_, true))
    tasks_.add(kj::evalLater([this] { return write_on(); }));
}

kj::Promise<void> GangLink::write_on() {
  if (queued_.empty()) {
    write_pending_ = false;
    return kj::READY_NOW;
  }
  writing_ = std::exchange(queued_, {});
  return stream_->write(writing_.data(), writing_.size()).then([this] { return write_on(); });
}

kj::Promise<void> GangLink::run(OnMessage on_message) {
  on_message_ = std::move(on_message);
  return run_on().exclusiveJoin(closing_.addBranch()).catch_([](kj::Exception&&) {}).then([this] {
    closed_ = true;
  });
}

kj::Promise<void> GangLink::run_on() {
  return receive(kMessageBytesMax).then([this](Message message) {
    on_message_(std::move(message));
    return run_on();
  });
}

kj::Promise<Message> GangLink::receive(std::size_t bytes_max) {
  auto incoming = kj::heap<Incoming>();
  Incoming& in = *incoming;
  return stream_->read(in.header.data(), in.header.size())
      .then([this, &in, bytes_max] {
        const std::size_t length = length_of(in.header);
        // NOLINTNEXTLINE(bugprone-suspicious-semicolon): KJ's macro ends in an else
        KJ_REQUIRE(length <= bytes_max, "a message too long", length);
        in.bytes.resize(length);
        return stream_->read(in.bytes.data(), length);
      })
      .then([&in] {
        Result<Message> message = decode(std::as_bytes(std::span(in.bytes)));
        // NOLINTNEXTLINE(bugprone-suspicious-semicolon): KJ's macro ends in an else
        KJ_REQUIRE(message.ok(), message.refusal().message.c_str());
        return std::move(message).value();
      })
      .attach(kj::mv(incoming));
}

void GangLink::close() {
  closed_ = true;
  close_->fulfill();
}

void GangLink::taskFailed(kj::Exception&&) {
  close();
}

}  // namespace leat::mpi
