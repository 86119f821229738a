#include "mpi-tasks/name_store.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace leat::mpi {

std::int32_t NameStore::publish(std::vector<Entry> entries, bool once) {
  std::set<std::string_view> names;
  std::size_t bytes = bytes_;
  for (const Entry& entry : entries) {
    if (values_.contains(entry.key) || !names.insert(entry.key).second)
      return kPmixErrorDuplicateKey;
    bytes += entry.key.size() + entry.value.size();
  }
  if (values_.size() + entries.size() > kEntriesMax || bytes > kBytesMax)
    return kPmixErrorBadParameter;
  bytes_ = bytes;
  for (Entry& entry : entries)
    values_.emplace(std::move(entry.key), Value{entry.publisher, std::move(entry.value), once});
  return kPmixSuccess;
}

void NameStore::lookup(Asker asker, std::vector<std::string> keys, std::uint32_t wanted) {
  waiting_.push_back({asker, std::move(keys), wanted});
}

void NameStore::forget(Asker asker) {
  std::erase_if(waiting_, [asker](const Waiting& waiting) { return waiting.asker == asker; });
}

std::int32_t NameStore::unpublish(Rank publisher, const std::vector<std::string>& keys) {
  const std::size_t before = values_.size();
  std::erase_if(values_, [&](const auto& named) {
    const bool meant = named.second.publisher == publisher &&
                       (keys.empty() || std::ranges::find(keys, named.first) != keys.end());
    if (meant) bytes_ -= named.first.size() + named.second.bytes.size();
    return meant;
  });
  return keys.empty() || values_.size() < before ? kPmixSuccess : kPmixErrorNotFound;
}

std::vector<NameStore::Found> NameStore::answers() {
  std::vector<Found> found;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (present(at->keys) < at->wanted) {
      ++at;
      continue;
    }
    found.push_back(take(*at));
    at = waiting_.erase(at);
  }
  return found;
}

std::size_t NameStore::present(const std::vector<std::string>& keys) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(keys, [this](const auto& key) { return values_.contains(key); }));
}

NameStore::Found NameStore::take(const Waiting& waiting) {
  Found found{waiting.asker, kPmixSuccess, {}};
  for (const std::string& key : waiting.keys) {
    const auto at = values_.find(key);
    if (at == values_.end()) continue;
    found.entries.push_back({key, at->second.publisher, at->second.bytes});
    if (!at->second.once) continue;
    bytes_ -= key.size() + at->second.bytes.size();
    values_.erase(at);
  }
  if (found.entries.empty())
    found.status = kPmixErrorNotFound;
  else if (found.entries.size() < waiting.keys.size())
    found.status = kPmixErrorPartialSuccess;
  return found;
}

}  // namespace leat::mpi
