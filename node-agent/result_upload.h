#pragma once

// result_upload.h - the output of a job's last step, to leat-store before success is reported.

#include <kj/async.h>
#include <kj/timer.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "node-agent/line_source.h"
#include "node-agent/messages.h"
#include "node-agent/peer_links.h"
#include "spool/spool_index.h"

namespace leat::agent {

// How long an upload is tried.
inline constexpr kj::Duration kUploadPatience = 60 * kj::SECONDS;

// Borrows links and timer. Thread: the loop's.
class ResultUpload {
 public:
  ResultUpload(PeerLinks& links, kj::Timer& timer, std::string spool_directory)
      : links_(links), timer_(timer), directory_(std::move(spool_directory)) {}

  void set_store(StoreAddress store) { store_ = std::move(store); }

  // Puts a run's standard output into the store. `ticket` is asked for before each try: the head
  // may have sent a newer one. Refused after kUploadPatience. Never rejects.
  kj::Promise<Result<BlobRef>> upload(spool::RunPlace place, std::function<std::string()> ticket);

 private:
  kj::Promise<Result<BlobRef>> try_until(spool::RunPlace place, std::function<std::string()> ticket,
                                         kj::Duration wait, kj::TimePoint deadline);
  kj::Promise<Result<BlobRef>> try_once(const spool::RunPlace& place, const std::string& ticket);

  PeerLinks& links_;
  kj::Timer& timer_;
  std::string directory_;
  StoreAddress store_;
};

}  // namespace leat::agent
