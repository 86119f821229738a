#pragma once

// plain_outputs.h - outputs once more, as files under their own names, for people who want those.
//
// DIR/JOB.INDEX.out and .err, or JOB.STAGE.INDEX.out in a later stage; of the newest attempt that
// ended. What a gang has written on its second node is in JOB.INDEX.node-1.out, and so on. Never in
// the spool's place: everything else reads there.

#include <kj/async.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "spool/spool_index.h"
#include "spool/spool_reader.h"

namespace leat::agent {

// Bytes copied in one turn of the loop.
inline constexpr std::size_t kCopiedAtOnce = 1u << 20;

// Thread: the loop's; file calls block. One copy after the other.
class PlainOutputs {
 public:
  explicit PlainOutputs(std::string spool_directory)
      : spool_directory_(std::move(spool_directory)) {}

  // The errno of why no file can be made in `directory`; 0 if one can.
  static int why_not(const std::string& directory);

  // Which member of a gang a run is; its output is taken apart and joined as it came.
  using Member = std::optional<std::uint32_t>;

  // Both streams of an ended run. Each file appears whole, in place of an older one of its name,
  // with mode 0600. Never rejects.
  kj::Promise<Result<Done>> copy(const RunId& run, const spool::RunPlace& place,
                                 const std::string& directory, Member member = {});

 private:
  struct Order;
  using OrderPtr = std::shared_ptr<Order>;

  kj::Promise<Result<Done>> copy_stream(const OrderPtr& order, spool::Stream stream);
  kj::Promise<Result<Done>> copy_rest(const OrderPtr& order);

  std::string spool_directory_;
  kj::Promise<void> before_ = kj::READY_NOW;  // the copy before the next one
};

// "17.42.out", "17.1.3.err", "17.42.node-1.out".
std::string plain_name(const RunId& run, spool::Stream stream, std::uint32_t member = 0);

}  // namespace leat::agent
