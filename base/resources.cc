#include "base/resources.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace leat {
namespace {

constexpr std::uint64_t kMany = std::numeric_limits<std::uint64_t>::max();

std::uint64_t times_in(std::uint64_t free, std::uint64_t need) {
  return need == 0 ? kMany : free / need;
}

template <typename Counters>
auto find(Counters& counters, std::string_view name) {
  const auto at = std::lower_bound(counters.begin(), counters.end(), name,
                                   [](const Counter& counter, std::string_view wanted) {
                                     return counter.name.compare(wanted) < 0;
                                   });
  return at != counters.end() && at->name == name ? at : counters.end();
}

std::string cores_text(std::uint32_t millicores) {
  std::string text = std::to_string(millicores / 1000);
  if (millicores % 1000 == 0) return text;
  text += '.' + std::to_string(1000 + millicores % 1000).substr(1);
  return text.substr(0, text.find_last_not_of('0') + 1);
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::uint64_t kMebibyte = 1 << 20;
  if (bytes % kMebibyte == 0 || bytes > 64 * kMebibyte)
    return std::to_string(bytes / kMebibyte) + " MiB";
  return std::to_string(bytes) + " bytes";
}

}  // namespace

std::uint64_t Resources::fit_count(const Resources& need) const {
  std::uint64_t count =
      std::min({times_in(millicores, need.millicores), times_in(memory_bytes, need.memory_bytes),
                times_in(gpus, need.gpus)});
  for (const Counter& wanted : need.counters)
    count = std::min(count, times_in(counter(wanted.name), wanted.amount));
  return count;
}

bool Resources::holds(const Resources& need) const {
  return fit_count(need) > 0;
}

void Resources::take(const Resources& need, std::uint64_t times) {
  if (times == 0) return;
  LEAT_CHECK(fit_count(need) >= times);
  millicores -= static_cast<std::uint32_t>(need.millicores * times);
  memory_bytes -= need.memory_bytes * times;
  gpus -= static_cast<std::uint32_t>(need.gpus * times);
  for (const Counter& wanted : need.counters)
    if (wanted.amount > 0) find(counters, wanted.name)->amount -= wanted.amount * times;
}

void Resources::give(const Resources& back, std::uint64_t times) {
  if (times == 0) return;
  millicores += static_cast<std::uint32_t>(back.millicores * times);
  memory_bytes += back.memory_bytes * times;
  gpus += static_cast<std::uint32_t>(back.gpus * times);
  for (const Counter& given : back.counters) {
    const auto own = find(counters, given.name);
    LEAT_CHECK(given.amount == 0 || own != counters.end());
    if (own != counters.end()) own->amount += given.amount * times;
  }
}

std::uint64_t Resources::counter(std::string_view name) const {
  const auto at = find(counters, name);
  return at == counters.end() ? 0 : at->amount;
}

bool is_counter_name(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_right = [&is_letter](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= kCounterNameBytesMax && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), is_right);
}

Result<std::vector<Counter>> sorted_counters(std::vector<Counter> counters) {
  if (counters.size() > kCountersMax)
    return invalid("more than " + std::to_string(kCountersMax) + " named resources");
  for (const Counter& counter : counters) {
    if (!is_counter_name(counter.name))
      return invalid("a resource's name is a letter and then letters, digits, '-', '_' or '.', " +
                     std::to_string(kCounterNameBytesMax) + " at most");
    for (const char* own : {"cpus", "cores", "memory", "gpus", "nodes", "tasks"})
      if (counter.name == own)
        return invalid("\"" + counter.name + "\" is no name for a resource: it has a meaning here");
    if (counter.amount == 0 || counter.amount > kCounterAmountMax)
      return invalid("resource " + counter.name + ": a whole number from 1 to " +
                     std::to_string(kCounterAmountMax));
  }
  std::sort(counters.begin(), counters.end(),
            [](const Counter& a, const Counter& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < counters.size(); ++i)
    if (counters[i].name == counters[i - 1].name)
      return invalid("resource " + counters[i].name + " is named twice");
  return counters;
}

std::string to_text(const Resources& resources) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (resources.millicores > 0)
    add(cores_text(resources.millicores) + (resources.millicores == 1000 ? " cpu" : " cpus"));
  if (resources.memory_bytes > 0) add(bytes_text(resources.memory_bytes));
  if (resources.gpus > 0)
    add(std::to_string(resources.gpus) + (resources.gpus == 1 ? " gpu" : " gpus"));
  for (const Counter& counter : resources.counters)
    if (counter.amount > 0) add(std::to_string(counter.amount) + ' ' + counter.name);
  return text.empty() ? "nothing" : text;
}

}  // namespace leat
