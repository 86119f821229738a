#include "node-agent/shared_input.h"

#include <kj/debug.h>
#include <unistd.h>

#include <span>
#include <utility>

#include "base/check.h"
#include "node-agent/store_retry.h"
#include "schema/data.capnp.h"
#include "transport/blob_client.h"

namespace leat::agent {

std::string SharedInputs::path_of(const StageRef& stage) const {
  return directory_ + "/inputs/" + std::to_string(stage.job.value) + "." +
         std::to_string(stage.stage) + ".stdin";
}

kj::Promise<Result<std::string>> SharedInputs::get(const StartSet& stage) {
  const StageRef ref = stage.runs.stage;
  LEAT_CHECK(stage.spec->inputs.standard_input.has_value());
  const auto [entry, is_new] = entries_.try_emplace(ref);
  if (entry->second.is_there) return Result<std::string>(path_of(ref));
  auto paf = kj::newPromiseAndFulfiller<Result<std::string>>();
  entry->second.waiting.push_back(kj::mv(paf.fulfiller));
  if (is_new) {
    auto order = std::make_shared<Order>();
    order->stage = ref;
    order->blob = *stage.spec->inputs.standard_input;
    order->ticket = stage.read_ticket();
    order->tries_left = kStoreTries;
    order->wait = kStoreFirstWait;
    tasks_.add(fetch(order));
  }
  return kj::mv(paf.promise);
}

void SharedInputs::forget(JobId job) {
  const auto first = entries_.lower_bound(StageRef{job, 0});
  const auto last = entries_.upper_bound(StageRef{job, 0xffff});
  for (auto at = first; at != last; ++at) {
    if (at->second.is_there) ::unlink(path_of(at->first).c_str());
    for (Waiting& waiting : at->second.waiting) waiting->fulfill(invalid("the job is over"));
  }
  entries_.erase(first, last);
}

kj::Promise<void> SharedInputs::fetch(const std::shared_ptr<Order>& order) {
  return try_once(order)
      .catch_([](kj::Exception&& e) -> Result<Done> { return store_away(e); })
      .then([this, order](const Result<Done>& done) -> kj::Promise<void> {
        const bool again = !done.ok() && may_pass(done.refusal()) && --order->tries_left > 0;
        if (!again) {
          complete(*order, done);
          return kj::READY_NOW;
        }
        order->file = nullptr;
        order->wait = 2 * order->wait;
        return timer_.afterDelay(order->wait).then([this, order]() { return fetch(order); });
      });
}

kj::Promise<Result<Done>> SharedInputs::try_once(const std::shared_ptr<Order>& order) {
  Result<InputFile> file = InputFile::create(path_of(order->stage));
  if (!file.ok()) return Result<Done>(file.refusal());
  order->file = std::make_unique<InputFile>(std::move(file).value());
  const transport::BlobSink keep =
      [order](kj::ArrayPtr<const kj::byte> bytes) -> kj::Promise<void> {
    const Result<Done> kept =
        order->file->append(std::as_bytes(std::span(bytes.begin(), bytes.size())));
    if (!kept.ok())
      return KJ_EXCEPTION(FAILED, "the standard input cannot be kept", kept.refusal().message);
    return kj::READY_NOW;
  };
  return links_.get(store_.address, store_.server_name)
      .then([order, keep](capnp::Capability::Client peer) {
        return transport::get_blob(peer.castAs<schema::BlobServer>(), order->ticket,
                                   {order->blob.hash, order->blob.length}, keep);
      });
}

void SharedInputs::complete(Order& order, const Result<Done>& done) {
  const auto entry = entries_.find(order.stage);
  if (entry == entries_.end()) return;  // forgotten meanwhile: the file goes with the order
  if (done.ok()) {
    order.file->keep();
    entry->second.is_there = true;
  }
  order.file = nullptr;
  std::vector<Waiting> waiting = std::exchange(entry->second.waiting, {});
  if (!done.ok()) entries_.erase(entry);
  for (Waiting& one : waiting) {
    if (done.ok()) {
      one->fulfill(path_of(order.stage));
    } else {
      one->fulfill(done.refusal());
    }
  }
}

void SharedInputs::taskFailed(kj::Exception&& exception) {
  // Nothing in here rejects but by a mistake of ours.
  kj::throwFatalException(kj::mv(exception));
}

}  // namespace leat::agent
