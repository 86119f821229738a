#pragma once

// disk.h - the store in memory: slow, and forgetful of what it has not yet acknowledged.

#include <kj/async.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "scheduler/store/store.h"
#include "tests/sim/events.h"

namespace leat::sim {

// What is on disk outlives heads; a crash loses what is on its way, but for a prefix of chance.
class Disk final : public store::Store, public store::Contents {
 public:
  // `lies`: the mutant that acknowledges before the disk has it.
  Disk(Events& events, Random& random, bool lies) : events_(events), random_(random), lies_(lies) {}

  kj::Promise<void> append(store::TurnRecord turn) override;
  kj::Promise<std::optional<store::RunPlace>> find_run(StageRef, Index) override;
  kj::Promise<std::optional<core::Job>> find_job(JobId) override;
  kj::Promise<std::vector<core::Job>> find_jobs(JobId, std::uint32_t) override;

  Result<store::Seal> seal() override { return seal_; }
  Result<Done> each_row(const VisitRow& visit) override;
  Result<Done> each_turn(const VisitTurn& visit) override;

  // The head dies: nothing is answered any more.
  void crash();

  std::uint64_t newest() const { return newest_; }
  std::uint64_t seals() const { return seals_; }

 private:
  struct Pending {
    store::TurnRecord turn;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };

  void write(store::TurnRecord turn);
  void write_oldest(std::uint64_t life);

  Events& events_;
  Random& random_;
  bool lies_;
  std::uint64_t life_ = 0;  // heads served so far
  std::vector<Pending> pending_;
  std::uint64_t newest_ = 0;
  std::uint64_t seals_ = 0;
  store::Seal seal_;
  std::map<std::uint64_t, std::string> facts_;
  // Key -> boundary of the round -> bytes, or nothing if erased.
  std::map<store::RowKey, std::map<std::uint64_t, std::optional<std::string>>> rows_;
};

}  // namespace leat::sim
