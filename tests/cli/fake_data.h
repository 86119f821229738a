#pragma once

// fake_data.h - a leat-store and an agent's data port that give what the test's world has.

#include <functional>
#include <span>
#include <string>
#include <utility>

#include "tests/cli/fake_cluster.h"
#include "transport/blob_client.h"

namespace leat::cli {

// Cap'n Proto's servers have no virtual destructor: kj::Own remembers how to destroy them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class FakeUpload final : public schema::Upload::Server {
 public:
  explicit FakeUpload(FakeWorld& world) : world_(world) {}

  kj::Promise<void> write(WriteContext context) override {
    const capnp::Data::Reader data = context.getParams().getData();
    bytes_.append(data.asChars().begin(), data.size());
    return kj::READY_NOW;
  }

  kj::Promise<void> finish(FinishContext context) override {
    transport::Sha256 sha256;
    sha256.update(std::as_bytes(std::span(bytes_.data(), bytes_.size())));
    const transport::Hash hash = sha256.finish();
    auto blob = context.getResults().initBlob();
    blob.setHash(kj::arrayPtr(reinterpret_cast<const kj::byte*>(hash.data()), hash.size()));
    blob.setLength(bytes_.size());
    world_.blobs[std::string(reinterpret_cast<const char*>(hash.data()), hash.size())] = bytes_;
    return kj::READY_NOW;
  }

 private:
  FakeWorld& world_;
  std::string bytes_;
};

class FakeStore final : public schema::BlobServer::Server {
 public:
  explicit FakeStore(FakeWorld& world) : world_(world) {}

  kj::Promise<void> has(HasContext context) override {
    context.getResults().setPresent(world_.blobs.count(name(context.getParams().getHash())) > 0);
    return kj::READY_NOW;
  }

  kj::Promise<void> put(PutContext context) override {
    ++world_.puts;
    context.getResults().setUpload(kj::heap<FakeUpload>(world_));
    return kj::READY_NOW;
  }

  kj::Promise<void> read(ReadContext context) override {
    const auto params = context.getParams();
    const std::string& blob = world_.blobs[name(params.getHash())];
    auto bytes = context.getResults().initBytes();
    const std::string part = blob.substr(params.getOffset(), params.getLength());
    bytes.setData(kj::StringPtr(part.c_str(), part.size()).asBytes());
    bytes.setTotal(blob.size());
    bytes.setFinished(true);
    return kj::READY_NOW;
  }

  kj::Promise<void> readOutput(ReadOutputContext context) override {
    if (!world_.store_refusal.empty()) {
      auto refusal = context.getResults().initRefusal();
      refusal.setReason(schema::Refusal::Reason::NOT_FOUND);
      refusal.setMessage(world_.store_refusal.c_str());
      return kj::READY_NOW;
    }
    const auto params = context.getParams();
    const std::string part = world_.output.substr(params.getOffset(), params.getLength());
    auto bytes = context.getResults().initBytes();
    bytes.setData(kj::StringPtr(part.c_str(), part.size()).asBytes());
    bytes.setTotal(world_.output.size());
    bytes.setFinished(true);
    return kj::READY_NOW;
  }

 private:
  static std::string name(capnp::Data::Reader hash) {
    return std::string(hash.asChars().begin(), hash.size());
  }

  FakeWorld& world_;
};

class FakeAgent final : public schema::DataServer::Server {
 public:
  FakeAgent(FakeWorld& world, std::function<void()> lose) : world_(world), lose_(std::move(lose)) {}

  kj::Promise<void> clock(ClockContext context) override {
    context.getResults().setWallSeconds(world_.agent_wall_s);
    return kj::READY_NOW;
  }

  kj::Promise<void> read(ReadContext context) override {
    if (world_.reads_until_lost-- == 0) {
      lose_();
      return kj::NEVER_DONE;
    }
    const auto params = context.getParams();
    FakeMember plain;
    const FakeMember& member = member_of(params.getTicket(), plain);
    const std::string& all =
        params.getStream() == schema::Stream::ERROR ? member.error : member.output;
    const std::string part = all.substr(params.getOffset(), world_.bytes_at_once);
    const bool probe = params.getLength() == 0;
    if (part.empty() && !probe && !member.finished) return kj::NEVER_DONE;
    auto bytes = context.getResults().initBytes();
    bytes.setData(kj::arrayPtr(part.data(), probe ? 0 : part.size()).asBytes());
    bytes.setTotal(all.size());
    bytes.setFinished(member.finished);
    if (!probe) world_.bytes_read += part.size();
    return kj::READY_NOW;
  }

 private:
  // The head's tickets say which member they are for.
  const FakeMember& member_of(capnp::Data::Reader ticket, FakeMember& plain) const {
    if (world_.gang.empty()) return plain = {world_.output, world_.output_finished, world_.output};
    return world_.gang.at(std::stoul(std::string(ticket.asChars().begin(), ticket.size())));
  }

  FakeWorld& world_;
  std::function<void()> lose_;
};

#pragma GCC diagnostic pop

}  // namespace leat::cli
