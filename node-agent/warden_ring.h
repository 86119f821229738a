#pragma once

// warden_ring.h - the shared memory between an agent and its warden: two byte rings.
//
// The warden makes one memfd per attached agent and hands it over with two eventfds. Commands flow
// one way and events the other, each through a ring with one writer and one reader. A record
// counts once its writer has published it: what a killed agent left half-written is never seen.
// Each side copies a record out before it looks at it and trusts nothing the other side can write.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace leat::warden {

inline constexpr std::uint64_t kRingMagic = 0x676e'6972'7461'656cu;  // "leatring", little-endian
inline constexpr std::uint32_t kRingVersion = 2;
inline constexpr std::uint32_t kRingBytes = 1u << 20;
// A longer record (in practice: a template with huge arguments or environment) is refused by put().
inline constexpr std::uint32_t kRecordBytesMax = 512u << 10;

// The words through which the two ends of one ring meet. Positions count bytes and never wrap.
struct RingControl {
  alignas(64) std::atomic<std::uint64_t> written{0};   // published by the writer
  alignas(64) std::atomic<std::uint64_t> consumed{0};  // given back by the reader
  alignas(64) std::atomic<std::uint32_t> reader_sleeps{0};
  std::atomic<std::uint32_t> writer_waits{0};
};

// The start of the shared memory; the commands' ring and then the events' ring follow at
// kRingsOffset.
struct SharedHeader {
  std::uint64_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  std::uint32_t ring_bytes = kRingBytes;
  // Peak memory of the warden itself, KiB. A task starts as a copy of the warden, so a peak at or
  // below this value only means "no more than that".
  std::atomic<std::uint32_t> floor_kib{0};
  // Who keeps memory limits: warden::Enforcement. Set before the dump.
  std::atomic<std::uint32_t> enforcement{0};
  RingControl commands;
  RingControl events;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::size_t kRingsOffset = 4096;
inline constexpr std::size_t kSharedBytes = kRingsOffset + 2 * std::size_t{kRingBytes};
static_assert(sizeof(SharedHeader) <= kRingsOffset);

// What stands before each record.
struct RecordFrame {
  std::uint32_t bytes = 0;
  std::uint32_t check = 0;  // ~bytes: a cheap sign that both sides agree where a record begins
};

// Room a record of `bytes` takes: frame and padding included, so that frames never wrap.
constexpr std::uint64_t framed_bytes(std::size_t bytes) {
  return sizeof(RecordFrame) + ((std::uint64_t{bytes} + 7) & ~std::uint64_t{7});
}

// The writing end. Borrows the mapping. Thread: the one that owns this end.
class RingWriter {
 public:
  RingWriter(RingControl& control, std::byte* bytes) : control_(&control), bytes_(bytes) {}

  // Copies one record in, unseen until publish(). False if there is no room for it now; the reader
  // then wakes this side once it has given some back. Over-long and empty records are never taken.
  bool put(std::span<const std::byte> record) {
    if (record.empty() || record.size() > kRecordBytesMax) return false;
    const std::uint64_t need = framed_bytes(record.size());
    if (!has_room(need)) {
      control_->writer_waits.store(1);
      if (!has_room(need)) return false;
      control_->writer_waits.store(0);
    }
    const RecordFrame frame{static_cast<std::uint32_t>(record.size()),
                            ~static_cast<std::uint32_t>(record.size())};
    std::memcpy(bytes_ + staged_ % kRingBytes, &frame, sizeof frame);
    copy_in(staged_ + sizeof frame, record);
    staged_ += need;
    return true;
  }

  // Whether the reader has given back room since a put() failed for want of it.
  bool room_was_given() const { return control_->writer_waits.load() == 0; }

  std::uint64_t position() const { return published_; }

  // Shows everything put so far to the reader. True if the reader sleeps and must be woken.
  bool publish() {
    if (staged_ == published_) return false;
    published_ = staged_;
    control_->written.store(staged_);
    return control_->reader_sleeps.load() != 0 && control_->reader_sleeps.exchange(0) != 0;
  }

 private:
  bool has_room(std::uint64_t need) const {
    const std::uint64_t used = staged_ - control_->consumed.load();
    return used <= kRingBytes && need <= kRingBytes - used;
  }

  void copy_in(std::uint64_t position, std::span<const std::byte> record) {
    const std::size_t at = position % kRingBytes;
    const std::size_t first = record.size() < kRingBytes - at ? record.size() : kRingBytes - at;
    std::memcpy(bytes_ + at, record.data(), first);
    std::memcpy(bytes_, record.data() + first, record.size() - first);
  }

  RingControl* control_;
  std::byte* bytes_;
  std::uint64_t staged_ = 0;
  std::uint64_t published_ = 0;
};

// The reading end. Borrows the mapping. Thread: the one that owns this end.
class RingReader {
 public:
  RingReader(RingControl& control, const std::byte* bytes) : control_(&control), bytes_(bytes) {}

  enum class Next : std::uint8_t {
    kRecord,  // `record` holds the next one
    kEmpty,
    kBroken,  // the writer has published nonsense: nothing more can be read from this ring
  };

  // Copies the next published record out. Its room is given back by release().
  Next next(std::vector<std::byte>& record) {
    const std::uint64_t ready = control_->written.load() - position_;
    if (ready == 0) return Next::kEmpty;
    if (ready > kRingBytes || ready % 8 != 0) return Next::kBroken;
    RecordFrame frame;
    std::memcpy(&frame, bytes_ + position_ % kRingBytes, sizeof frame);
    if (frame.check != ~frame.bytes || frame.bytes == 0 || frame.bytes > kRecordBytesMax ||
        framed_bytes(frame.bytes) > ready)
      return Next::kBroken;
    record.resize(frame.bytes);
    const std::size_t at = (position_ + sizeof frame) % kRingBytes;
    const std::size_t first = frame.bytes < kRingBytes - at ? frame.bytes : kRingBytes - at;
    std::memcpy(record.data(), bytes_ + at, first);
    std::memcpy(record.data() + first, bytes_, frame.bytes - first);
    position_ += framed_bytes(frame.bytes);
    return Next::kRecord;
  }

  // Gives back the room of everything read. True if the writer waits for it and must be woken.
  bool release() {
    if (position_ == released_) return false;
    released_ = position_;
    control_->consumed.store(position_);
    return control_->writer_waits.load() != 0 && control_->writer_waits.exchange(0) != 0;
  }

  // Announces that this side will wait for its eventfd. False if there is something to read first.
  bool fall_asleep() {
    control_->reader_sleeps.store(1);
    if (control_->written.load() == position_) return true;
    control_->reader_sleeps.store(0);
    return false;
  }

  void wake_up() { control_->reader_sleeps.store(0); }

  std::uint64_t position() const { return position_; }

 private:
  RingControl* control_;
  const std::byte* bytes_;
  std::uint64_t position_ = 0;
  std::uint64_t released_ = 0;
};

// What an agent sends first on DIR/warden.sock (SOCK_SEQPACKET), and all it ever sends there.
struct Hello {
  std::uint64_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  std::uint32_t reserved = 0;
};

enum class AttachStatus : std::uint32_t { kAttached, kBusy, kWrongVersion };

// The answer. With kAttached come three descriptors: the shared memory, the eventfd that wakes
// the warden, the eventfd that wakes the agent. Afterwards the open socket means "still there".
struct Welcome {
  std::uint64_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  AttachStatus status = AttachStatus::kAttached;
  std::int32_t pid = 0;
  std::uint32_t floor_kib = 0;
};

}  // namespace leat::warden
