// merge_counts.cc - adds up "name<TAB>count" lines; the reduce step of the example.
//
// Takes any number of sorted or unsorted lists one after the other, so it accepts its own output
// and may run as a tree. A line that is not of this form fails the step: a wrong sum is worse.

#include <charconv>
#include <cstdint>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace {

using Counts = std::map<std::string, std::uint64_t, std::less<>>;

std::optional<std::uint64_t> read_count(std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return count;
}

// False if the line is not "name<TAB>count", or the sum would not fit.
bool add_line(std::string_view line, Counts& counts) {
  const std::size_t tab = line.find('\t');
  if (tab == 0 || tab == std::string_view::npos) return false;
  const std::optional<std::uint64_t> count = read_count(line.substr(tab + 1));
  if (!count) return false;
  std::uint64_t& sum = counts.try_emplace(std::string(line.substr(0, tab)), 0).first->second;
  if (*count > std::numeric_limits<std::uint64_t>::max() - sum) return false;
  sum += *count;
  return true;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  Counts counts;
  std::uint64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    if (add_line(line, counts)) continue;
    std::cerr << "merge_counts: line " << number << " is not NAME<TAB>COUNT\n";
    return 1;
  }
  for (const auto& [name, count] : counts) std::cout << name << '\t' << count << '\n';
  std::cout.flush();
  return std::cout.good() ? 0 : 1;
}
