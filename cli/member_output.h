#pragma once

// member_output.h - one stream of one task, or of one member of a gang, from wherever it is: its
// node, or leat-store.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "cli/command.h"
#include "cli/data_link.h"
#include "cli/head.h"

namespace leat::cli {

struct OutputWanted {
  JobId job;
  StageId stage = 0;
  Index index = 0;
  std::uint32_t member = 0;                        // of a gang
  bool error = false;                              // standard error instead of standard output
  bool follow = false;                             // wait for the start, and go on to the end
  std::uint32_t at_once = schema::MAX_READ_BYTES;  // most bytes of one answer
};

// Takes the next bytes, in order. May throw.
using OutputSink = std::function<void(std::string_view bytes)>;

// An agent that is being restarted, or a head that is, is asked again for so long.
inline constexpr Duration kAgentPatience = std::chrono::seconds(20);

// Reads in steps: find(), connect(), then ask() and take() in turn until it is not kMore. One call
// is under way at a time and brings a mebibyte at most, so a slow sink holds up the sender and
// nothing piles up. The connection is kept for what is read next. Borrows the shell and the head.
class MemberOutput {
 public:
  using Answer = capnp::Response<schema::ReadResult>;
  enum class Step : std::uint8_t { kMore, kDone, kAway, kNotYet };

  MemberOutput(Shell& shell, Head& head) : shell_(shell), head_(head), link_(shell) {}

  // From the first byte. Other members of the task that was begun last are of the same attempt.
  void begin(const OutputWanted& wanted);
  // The same again, of a newer attempt that the caller knows of.
  void start_over();

  // Asks the head where it is: kMore or kNotYet. Throws Failure. Waits.
  Step find();
  // False if nobody answers there. Waits.
  bool connect();
  // The next bytes. Nothing if the other end went away; then connect() again.
  kj::Promise<kj::Maybe<Answer>> ask();
  // Throws Failure: kWorkFailed if the output is lost.
  Step take(const kj::Maybe<Answer>& answer, const OutputSink& sink);

  // As find() found it.
  std::uint32_t attempt() const { return attempt_; }
  std::uint32_t members() const { return members_; }  // 0: it is no gang
  std::uint32_t node() const { return node_; }
  std::string address() const { return place().getAddress().cStr(); }
  bool is_stored() const { return place().getStored(); }  // at that address: its node is gone
  std::uint64_t offset() const { return offset_; }
  // No more will be written, as the last answer had it.
  bool is_finished() const { return finished_; }
  bool is_truncated() const { return truncated_; }

 private:
  schema::LocateResult::Place::Reader place() const;
  Step take_bytes(schema::ReadResult::Bytes::Reader bytes, const OutputSink& sink);

  Shell& shell_;
  Head& head_;
  OutputWanted wanted_;
  DataLink link_;
  std::string connected_to_;  // empty: to nobody
  kj::Maybe<schema::DataServer::Client> agent_;
  kj::Maybe<schema::BlobServer::Client> store_;
  kj::Maybe<capnp::Response<schema::LocateResult>> located_;
  std::uint32_t length_ = 0;  // of the next read
  std::uint64_t offset_ = 0;
  std::uint32_t attempt_ = 0;
  std::uint32_t members_ = 0;
  std::uint32_t node_ = 0;
  bool truncated_ = false;
  bool finished_ = false;
};

}  // namespace leat::cli
