#include "node-agent/data_fetch.h"

#include <algorithm>
#include <span>
#include <utility>

#include "node-agent/agent_codec.h"
#include "schema/data.capnp.h"
#include "transport/identity.h"
#include "transport/wire_refusal.h"

namespace leat::agent {
namespace {

// A connection may have died since it was last used: one more try, on a new one.
constexpr int kTries = 2;

Outputs::SetPiece piece_of(schema::ReadSetResult::Bytes::Reader in) {
  const kj::ArrayPtr<const char> data = in.getData().asChars();
  return {std::string(data.begin(), data.size()), in.getPosition(), in.getOffset(),
          in.getFinished()};
}

}  // namespace

kj::Promise<Result<Done>> DataFetch::fetch(TaskInputs parts, InputFile& file) {
  auto progress = std::make_shared<Progress>();
  progress->parts = std::move(parts);
  progress->tries_left = kTries;
  return go_on(progress, file);
}

kj::Promise<Result<Done>> DataFetch::go_on(const std::shared_ptr<Progress>& progress,
                                           InputFile& file) {
  if (progress->part == progress->parts.size()) return Result<Done>(Done{});
  const InputPart& part = progress->parts[progress->part];
  return read(part, *progress)
      .then([this, progress,
             &file](const Result<Outputs::SetPiece>& piece) -> kj::Promise<Result<Done>> {
        if (!piece.ok()) {
          const bool again = piece.refusal().reason == Reason::kDisconnected;
          if (!again || --progress->tries_left <= 0) return Result<Done>(piece.refusal());
          return go_on(progress, file);
        }
        const Outputs::SetPiece& got = piece.value();
        const bool moved = got.finished || !got.data.empty() || got.position > progress->position;
        const bool back = got.position < progress->position ||
                          got.position > progress->parts[progress->part].runs.indices.size();
        if (!moved || back)
          return Result<Done>(invalid("a node's answer about its outputs makes no sense"));
        const Result<Done> kept = keep(*progress, got, file);
        if (!kept.ok()) return Result<Done>(kept.refusal());
        progress->position = got.finished ? 0 : got.position;
        progress->offset = got.finished ? 0 : got.offset;
        progress->part += got.finished ? 1 : 0;
        progress->tries_left = kTries;
        return go_on(progress, file);
      });
}

Result<Done> DataFetch::keep(Progress& progress, const Outputs::SetPiece& got, InputFile& file) {
  if (!progress.parts[progress.part].of_gangs)
    return file.append(std::as_bytes(std::span(got.data)));
  if (!progress.frames)
    progress.frames.emplace([&progress](std::uint32_t rank, std::string_view content) {
      if (rank == 0) progress.plain += content;
    });
  progress.plain.clear();
  progress.frames->feed(got.data);
  if (got.finished) {
    progress.frames->finish();
    // What was cut at its limit is no whole output, but what there is of one counts as for any
    // task.
    progress.frames.reset();
  }
  return file.append(std::as_bytes(std::span(progress.plain)));
}

kj::Promise<Result<Outputs::SetPiece>> DataFetch::read(const InputPart& part,
                                                       const Progress& progress) {
  using Piece = Result<Outputs::SetPiece>;
  if (part.node == self_) {
    // A turn of the loop between two pieces, so that nothing else waits for a large one.
    return kj::evalLater([this, &part, &progress]() {
      return own_.read_set(part.runs, progress.position, progress.offset, kReadBytesMax);
    });
  }
  return timer_.timeoutAfter(kFetchDeadline, read_remote(part, progress))
      .catch_([](kj::Exception&& e) -> Piece {
        return Refusal{Reason::kDisconnected, e.getDescription().cStr()};
      });
}

kj::Promise<Result<Outputs::SetPiece>> DataFetch::read_remote(const InputPart& part,
                                                              const Progress& progress) {
  return links_.get(part.address, transport::agent_server_name(part.node, cluster_))
      .then([&part, &progress](capnp::Capability::Client peer) {
        auto request = peer.castAs<schema::DataServer>().readSetRequest();
        request.setTicket(kj::arrayPtr(part.ticket.data(), part.ticket.size()).asBytes());
        write_run_set(part.runs, request.initRuns());
        request.setPosition(progress.position);
        request.setOffset(progress.offset);
        request.setLength(static_cast<std::uint32_t>(kReadBytesMax));
        return request.send();
      })
      .then([](capnp::Response<schema::ReadSetResult>&& response) -> Result<Outputs::SetPiece> {
        if (response.isRefusal()) return transport::read_refusal(response.getRefusal());
        return piece_of(response.getBytes());
      });
}

}  // namespace leat::agent
