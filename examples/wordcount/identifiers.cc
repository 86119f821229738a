// identifiers.cc - counts the identifiers in the files named on standard input.
//
// One path per line in, "identifier<TAB>count" per line out, sorted by byte value. An identifier
// is what the regular expression [A-Za-z_][A-Za-z0-9_]* matches, wherever it stands.

#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace {

using Counts = std::map<std::string, std::uint64_t, std::less<>>;

constexpr bool begins_identifier(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

constexpr bool continues_identifier(char c) {
  return begins_identifier(c) || (c >= '0' && c <= '9');
}

void count_in(std::string_view text, Counts& counts) {
  for (std::size_t at = 0; at < text.size();) {
    if (!begins_identifier(text[at])) {
      ++at;
      continue;
    }
    const std::size_t first = at;
    while (at < text.size() && continues_identifier(text[at])) ++at;
    const std::string_view name = text.substr(first, at - first);
    const auto known = counts.find(name);
    if (known != counts.end()) {
      ++known->second;
    } else {
      counts.emplace(name, 1);
    }
  }
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  Counts counts;
  for (std::string path; std::getline(std::cin, path);) {
    std::ifstream file(path, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    if (!file.is_open() || file.bad()) {
      std::cerr << "identifiers: cannot read " << path << '\n';
      return 1;
    }
    count_in(text, counts);
  }
  for (const auto& [name, count] : counts) std::cout << name << '\t' << count << '\n';
  std::cout.flush();
  return std::cout.good() ? 0 : 1;
}
