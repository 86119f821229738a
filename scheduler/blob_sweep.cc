#include "scheduler/blob_sweep.h"

#include <kj/debug.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "scheduler/store/spec_codec.h"
#include "schema/data.capnp.h"
#include "transport/blob_client.h"

namespace leat::scheduler {

struct BlobSweep::Round {
  JobId next{1};
  std::vector<core::Hash> needed;
  std::size_t sent = 0;
  kj::Own<transport::Session> session;
};

struct BlobSweep::Question {
  std::vector<core::Hash> hashes;
  kj::Own<transport::Session> session;
};

std::vector<core::Hash> inputs_of(const core::JobSpec& spec) {
  std::vector<core::Hash> hashes;
  const auto add = [&hashes](schema::BlobRef::Reader blob) {
    const auto read = store::read_blob(blob);
    if (read.ok() && read.value()) hashes.push_back(read.value()->hash);
  };
  store::with_encoded(spec, [&add](schema::JobSpec::Reader job) {
    for (const auto stage : job.getStages()) {
      const auto inputs = stage.getInputs();
      if (inputs.isLines()) {
        add(inputs.getLines().getData());
        add(inputs.getLines().getOffsets());
      }
      if (inputs.hasStandardInput()) add(inputs.getStandardInput());
    }
  });
  return hashes;
}

BlobSweep::BlobSweep(SweepServices services) : services_(std::move(services)), tasks_(*this) {
  tasks_.add(sweep_for_ever());
}

BlobSweep::~BlobSweep() noexcept(false) = default;

kj::Promise<void> BlobSweep::sweep_for_ever() {
  return services_.timer.afterDelay(kSweepInterval)
      .then([this]() { return services_.timer.timeoutAfter(kSweepDeadline, sweep()); })
      .then(
          [this](std::uint64_t gone) {
            if (gone > 0)
              services_.log("leat-store: " + std::to_string(gone) +
                            " inputs went that no job needs");
          },
          [this](kj::Exception&& e) {
            services_.log(std::string("inputs were not swept: ") + e.getDescription().cStr());
          })
      .then([this]() { return sweep_for_ever(); });
}

kj::Promise<std::uint64_t> BlobSweep::sweep() {
  auto round = std::make_shared<Round>();
  return collect(round)
      .then([this]() { return services_.connect(); })
      .then([this, round](kj::Own<kj::AsyncIoStream> stream) {
        round->session = kj::heap<transport::Session>(
            kj::mv(stream), transport::Session::Side::kConnected, nullptr, transport::kDataLimits);
        return send(round);
      })
      .attach(kj::defer([round]() { round->session = nullptr; }));
}

// A few jobs in each turn of the loop. Jobs that come meanwhile have larger numbers.
kj::Promise<void> BlobSweep::collect(const std::shared_ptr<Round>& round) {
  const std::map<JobId, core::Job>& jobs = services_.engine.state().jobs();
  std::size_t seen = 0;
  for (auto at = jobs.lower_bound(round->next); at != jobs.end(); ++at) {
    if (seen++ == kJobsPerTurn) return kj::evalLast([this, round]() { return collect(round); });
    round->next = JobId{at->first.value + 1};
    if (!at->second.active() || at->second.spec == nullptr) continue;
    const std::vector<core::Hash> hashes = inputs_of(*at->second.spec);
    round->needed.insert(round->needed.end(), hashes.begin(), hashes.end());
  }
  return kj::READY_NOW;
}

// What was accepted while others were looked at or sent must not miss its inputs.
kj::Promise<std::uint64_t> BlobSweep::send(const std::shared_ptr<Round>& round) {
  return collect(round).then([this, round]() { return send_some(round); });
}

kj::Promise<std::uint64_t> BlobSweep::send_some(const std::shared_ptr<Round>& round) {
  const std::size_t count = std::min(kHashesPerCall, round->needed.size() - round->sent);
  const bool last = round->sent + count == round->needed.size();
  auto request = round->session->peer().castAs<schema::BlobServer>().keepInputsRequest();
  auto hashes = request.initHashes(static_cast<kj::uint>(count));
  for (kj::uint i = 0; i < hashes.size(); ++i) {
    const core::Hash& hash = round->needed[round->sent + i];
    hashes.set(i, kj::arrayPtr(hash.data(), hash.size()));
  }
  request.setLast(last);
  request.setOlderThanS(kInputsKeptS);
  round->sent += count;
  return request.send().then([this, round, last](auto&& answer) -> kj::Promise<std::uint64_t> {
    if (last) return answer.getDeleted();
    return send(round);
  });
}

kj::Promise<Result<bool>> BlobSweep::has_inputs(const core::JobSpec& spec) {
  auto question = std::make_shared<Question>();
  question->hashes = inputs_of(spec);
  if (question->hashes.empty()) return Result<bool>(true);
  auto answer =
      kj::evalNow(services_.connect).then([this, question](kj::Own<kj::AsyncIoStream> stream) {
        question->session = kj::heap<transport::Session>(
            kj::mv(stream), transport::Session::Side::kConnected, nullptr, transport::kDataLimits);
        return ask_next(question);
      });
  return services_.timer.timeoutAfter(kAskDeadline, kj::mv(answer))
      .catch_([](kj::Exception&& e) -> Result<bool> {
        return Refusal{Reason::kDisconnected, e.getDescription().cStr()};
      })
      .then([](Result<bool> there) -> Result<bool> {
        if (there.ok()) return there;
        return Refusal{Reason::kOverloaded,
                       "leat-store does not answer, and the job's inputs are there: try again, "
                       "or see leat status"};
      })
      .attach(kj::defer([question]() { question->session = nullptr; }));
}

// One after the other: a job has a few.
kj::Promise<Result<bool>> BlobSweep::ask_next(const std::shared_ptr<Question>& question) {
  if (question->hashes.empty()) return Result<bool>(true);
  const Result<transport::Hash> hash =
      transport::hash_from_bytes(std::as_bytes(std::span(question->hashes.back())));
  question->hashes.pop_back();
  return transport::has_blob(question->session->peer().castAs<schema::BlobServer>(),
                             services_.ticket(), hash.value())
      .then([this, question](Result<bool> there) -> kj::Promise<Result<bool>> {
        if (!there.ok() || !there.value()) return there;
        return ask_next(question);
      });
}

void BlobSweep::taskFailed(kj::Exception&& exception) {
  services_.log(std::string("sweeping inputs: ") + exception.getDescription().cStr());
}

}  // namespace leat::scheduler
