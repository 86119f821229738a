#include "node-agent/warden/run_table.h"

#include "base/check.h"

namespace leat::warden {

std::size_t RunTable::Hash::operator()(const RunId& id) const noexcept {
  std::uint64_t hash = id.job.value;
  for (const std::uint64_t part : {std::uint64_t{id.stage}, id.index, std::uint64_t{id.attempt}})
    hash = (hash ^ part) * 0x9e37'79b9'7f4a'7c15u ^ (hash >> 29);
  return hash;
}

Run& RunTable::add(const RunId& id) {
  std::uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(places_.size());
    places_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  LEAT_CHECK(by_id_.emplace(id, index).second);
  Run& run = places_[index];
  const std::uint32_t generation = run.ref.generation + 1;
  run = Run{};
  run.ref = {index, generation};
  run.exited.run = id;
  return run;
}

Run* RunTable::find(const RunId& id) {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : &places_[at->second];
}

Run* RunTable::at(RunRef ref) {
  if (ref.index >= places_.size() || places_[ref.index].ref != ref) return nullptr;
  return ref.generation % 2 == 1 ? &places_[ref.index] : nullptr;
}

void RunTable::erase(Run& run) {
  LEAT_CHECK(by_id_.erase(run.exited.run) == 1);
  const RunRef ref = run.ref;
  run = Run{};
  run.ref = {ref.index, ref.generation + 1};
  free_.push_back(ref.index);
}

}  // namespace leat::warden
