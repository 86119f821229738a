#include "node-agent/warden/string_block.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.h"

namespace leat::warden {

namespace {

// The kernel takes arguments and environment as char* const* and writes to neither.
char* writable(std::string_view text) {
  return const_cast<char*>(text.data());
}

// Whether one of `variables` is of that name.
bool sets(std::span<char* const> variables, std::string_view name) {
  return std::any_of(variables.begin(), variables.end(), [name](const char* variable) {
    return std::strncmp(variable, name.data(), name.size()) == 0 &&
           (variable[name.size()] == '=' || variable[name.size()] == '\0');
  });
}

}  // namespace

void StringBlock::add(std::string_view text) {
  LEAT_CHECK(text.find('\0') == std::string_view::npos);
  bytes_.append(text);
  bytes_.push_back('\0');
}

void StringBlock::add(std::string_view name, std::string_view value) {
  LEAT_CHECK(name.find('\0') == std::string_view::npos);
  LEAT_CHECK(value.find('\0') == std::string_view::npos);
  bytes_.append(name);
  bytes_.push_back('=');
  bytes_.append(value);
  bytes_.push_back('\0');
}

std::size_t StringBlock::count() const {
  std::size_t count = 0;
  for_each([&count](std::string_view) { ++count; });
  return count;
}

std::string_view variable_name(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

void point_at_arguments(const StringBlock& first, const StringBlock& more,
                        std::vector<char*>& pointers) {
  pointers.clear();
  const auto add = [&pointers](std::string_view text) { pointers.push_back(writable(text)); };
  first.for_each(add);
  more.for_each(add);
  pointers.push_back(nullptr);
}

void point_at_environment(const std::string& token, const StringBlock& base,
                          const StringBlock& more, std::vector<char*>& pointers) {
  pointers.clear();
  pointers.push_back(writable(token));
  const std::string_view token_name = variable_name(token);
  more.for_each([&](std::string_view variable) {
    if (variable_name(variable) != token_name) pointers.push_back(writable(variable));
  });
  // For each task anew, so it is compared with what is pointed at: nothing is measured twice.
  const std::size_t set = pointers.size();
  base.for_each([&](std::string_view variable) {
    if (!sets({pointers.data(), set}, variable_name(variable)))
      pointers.push_back(writable(variable));
  });
  pointers.push_back(nullptr);
}

std::optional<std::string_view> value_of(std::string_view name, char* const* environment) {
  for (; *environment != nullptr; ++environment) {
    if (std::strncmp(*environment, name.data(), name.size()) == 0 &&
        (*environment)[name.size()] == '=')
      return std::string_view(*environment + name.size() + 1);
  }
  return std::nullopt;
}

}  // namespace leat::warden
