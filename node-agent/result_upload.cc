#include "node-agent/result_upload.h"

#include <fcntl.h>
#include <kj/io.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "node-agent/store_retry.h"
#include "schema/data.capnp.h"
#include "spool/spool_reader.h"
#include "transport/blob_client.h"

namespace leat::agent {

kj::Promise<Result<BlobRef>> ResultUpload::upload(spool::RunPlace place,
                                                  std::function<std::string()> ticket) {
  return try_until(place, std::move(ticket), kStoreFirstWait, timer_.now() + kUploadPatience);
}

kj::Promise<Result<BlobRef>> ResultUpload::try_until(spool::RunPlace place,
                                                     std::function<std::string()> ticket,
                                                     kj::Duration wait, kj::TimePoint deadline) {
  kj::Promise<Result<BlobRef>> once = timer_.timeoutAt(deadline, try_once(place, ticket()));
  return once.catch_([](kj::Exception&& e) -> Result<BlobRef> { return store_away(e); })
      .then([this, place, ticket = std::move(ticket), wait,
             deadline](Result<BlobRef> blob) mutable -> kj::Promise<Result<BlobRef>> {
        if (blob.ok() || timer_.now() + wait >= deadline) return blob;
        return timer_.afterDelay(wait).then([this, place, ticket = std::move(ticket), wait,
                                             deadline]() mutable {
          return try_until(place, std::move(ticket), std::min(2 * wait, kStoreLastWait), deadline);
        });
      });
}

kj::Promise<Result<BlobRef>> ResultUpload::try_once(const spool::RunPlace& place,
                                                    const std::string& ticket) {
  const std::string path =
      directory_ + "/" + spool::file_name({place.slot, place.segment, spool::Stream::kOutput});
  const bool is_empty = place.output.length == 0;
  // An empty output may have no file.
  const int fd = is_empty ? -1 : ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && !is_empty)
    return Result<BlobRef>(invalid(path + ": cannot be opened: " + std::strerror(errno)));
  kj::AutoCloseFd owned(fd);
  transport::BlobSource source =
      is_empty ? transport::memory_source("")
               : transport::file_source(fd, place.output.offset, place.output.length);
  return links_.get(store_.address, store_.server_name)
      .then([ticket, source = std::move(source),
             length = place.output.length](capnp::Capability::Client peer) mutable {
        return transport::put_blob(peer.castAs<schema::BlobServer>(), ticket, length,
                                   std::move(source));
      })
      .then([](const Result<transport::Blob>& blob) -> Result<BlobRef> {
        if (!blob.ok()) return blob.refusal();
        return BlobRef{blob.value().hash, blob.value().length};
      })
      .attach(kj::mv(owned));
}

}  // namespace leat::agent
