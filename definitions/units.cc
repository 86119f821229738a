#include "definitions/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>

namespace leat::definitions {
namespace {

constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 62;

// Digits before and after a decimal point, the latter in thousandths.
struct Decimal {
  std::uint64_t whole = 0;
  std::uint64_t thousandths = 0;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Takes the digits at the front of `text`, if there are any and they fit.
std::optional<std::uint64_t> take_whole(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// Takes "12" or "1.5" off the front; more than three decimals are not understood.
std::optional<Decimal> take_decimal(std::string_view& text) {
  const std::optional<std::uint64_t> whole = take_whole(text);
  if (!whole) return std::nullopt;
  Decimal decimal{*whole, 0};
  if (text.empty() || text.front() != '.') return decimal;
  text.remove_prefix(1);
  std::uint64_t unit = 100;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  while (!text.empty() && is_digit(text.front())) {
    if (unit == 0) return std::nullopt;
    decimal.thousandths += static_cast<std::uint64_t>(text.front() - '0') * unit;
    unit /= 10;
    text.remove_prefix(1);
  }
  return decimal;
}

// decimal * unit, rounded down; nothing if it exceeds `max`.
std::optional<std::uint64_t> scale(Decimal decimal, std::uint64_t unit, std::uint64_t max) {
  std::uint64_t whole = 0;
  if (__builtin_mul_overflow(decimal.whole, unit, &whole)) return std::nullopt;
  // unit <= 2^50 and thousandths < 1000, so this does not overflow.
  const std::uint64_t part = decimal.thousandths * unit / 1000;
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(whole, part, &sum) || sum > max) return std::nullopt;
  return sum;
}

std::string quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

// The factor that a suffix stands for, in any case: "", "b", "k", "kib", "kb", …
std::optional<std::uint64_t> size_unit(std::string_view suffix) {
  std::string word;
  std::transform(suffix.begin(), suffix.end(), std::back_inserter(word), lower);
  if (word.empty() || word == "b") return 1;
  const std::size_t power = std::string_view("kmgtp").find(word.front());
  if (power == std::string_view::npos) return std::nullopt;
  const std::string_view rest = std::string_view(word).substr(1);
  if (!rest.empty() && rest != "ib" && rest != "b") return std::nullopt;
  const std::uint64_t base = rest == "b" ? 1000 : 1024;
  std::uint64_t unit = 1;
  for (std::size_t i = 0; i <= power; ++i) unit *= base;
  return unit;
}

struct TimeUnit {
  std::string_view name;
  std::uint64_t us;
};

constexpr std::array<TimeUnit, 5> kTimeUnits{{
    {"d", 86'400'000'000},
    {"h", 3'600'000'000},
    {"m", 60'000'000},
    {"s", 1'000'000},
    {"ms", 1'000},
}};

// "HH:MM:SS", minutes and seconds of two digits below 60.
std::optional<std::uint64_t> parse_clock(std::string_view text) {
  const std::optional<std::uint64_t> hours = take_whole(text);
  if (!hours || text.size() != 6 || text[0] != ':' || text[3] != ':') return std::nullopt;
  for (const std::size_t at : {1, 2, 4, 5})
    if (!is_digit(text[at])) return std::nullopt;
  const int minutes = (text[1] - '0') * 10 + (text[2] - '0');
  const int seconds = (text[4] - '0') * 10 + (text[5] - '0');
  if (minutes > 59 || seconds > 59 || *hours > 1'000'000) return std::nullopt;
  return (*hours * 3'600 + static_cast<unsigned>(minutes * 60 + seconds)) * 1'000'000;
}

// "1h30m", "2.5s", "90".
std::optional<std::uint64_t> parse_parts(std::string_view text) {
  const std::uint64_t max = static_cast<std::uint64_t>(kDurationMax.count());
  std::uint64_t total = 0;
  std::size_t next_unit = 0;
  bool first = true;
  while (first || !text.empty()) {
    const std::optional<Decimal> amount = take_decimal(text);
    if (!amount) return std::nullopt;
    std::size_t length = 0;
    while (length < text.size() && !is_digit(text[length])) ++length;
    std::string_view name = text.substr(0, length);
    if (name.empty() && first) name = "s";
    while (next_unit < kTimeUnits.size() && kTimeUnits[next_unit].name != name) ++next_unit;
    if (next_unit == kTimeUnits.size()) return std::nullopt;
    const std::optional<std::uint64_t> part = scale(*amount, kTimeUnits[next_unit++].us, max);
    if (!part) return std::nullopt;
    total += *part;
    text.remove_prefix(length);
    first = false;
  }
  return total;
}

// `value` / 1000 with its decimals, none if it is whole.
std::string show_thousandths(std::uint64_t value) {
  std::string text = std::to_string(value / 1000);
  std::string decimals = std::to_string(1000 + value % 1000).substr(1);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  return decimals.empty() ? text : text + '.' + decimals;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view rest = text;
  const std::optional<Decimal> amount = take_decimal(rest);
  const std::optional<std::uint64_t> unit = size_unit(rest);
  if (!amount || !unit)
    return invalid(quoted(text) + " is not a size: write one like 512M, 2G or 1.5GiB");
  const std::optional<std::uint64_t> bytes = scale(*amount, *unit, kSizeMax);
  if (!bytes) return invalid(quoted(text) + " is too large: at most 4096P");
  return *bytes;
}

Result<Duration> parse_duration(std::string_view text) {
  const bool clock = text.find(':') != std::string_view::npos;
  const std::optional<std::uint64_t> us = clock ? parse_clock(text) : parse_parts(text);
  if (!us)
    return invalid(quoted(text) + " is not a time: write one like 90s, 1h30m, 250ms or 01:30:00");
  if (*us > static_cast<std::uint64_t>(kDurationMax.count()))
    return invalid(quoted(text) + " is too long: at most 100 years");
  return Duration(static_cast<std::int64_t>(*us));
}

Result<std::uint32_t> parse_millicores(std::string_view text) {
  std::string_view rest = text;
  const std::optional<Decimal> amount = take_decimal(rest);
  const std::optional<std::uint64_t> millicores =
      amount && rest.empty() ? scale(*amount, 1000, kMillicoresMax) : std::nullopt;
  if (!millicores || *millicores == 0)
    return invalid(quoted(text) + " is not a number of cores: write one like 1, 4 or 0.5");
  return static_cast<std::uint32_t>(*millicores);
}

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::string_view rest = text;
  const std::optional<std::uint64_t> value = take_whole(rest);
  if (!value || !rest.empty() || *value < min || *value > max)
    return invalid(quoted(text) + " is not a whole number from " + std::to_string(min) + " to " +
                   std::to_string(max));
  return *value;
}

Result<Counter> parse_counter(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string name(text.substr(0, equals));
  if (equals == std::string_view::npos || !is_counter_name(name))
    return invalid(std::string(text) + ": write NAME=N, like licence=2");
  const Result<std::uint64_t> amount = parse_number(text.substr(equals + 1), 1, kCounterAmountMax);
  if (!amount.ok()) return invalid(name + '=' + amount.refusal().message);
  return Counter{name, amount.value()};
}

std::string show_size(std::uint64_t bytes) {
  constexpr std::string_view kLetters = "KMGTP";
  std::size_t power = 0;
  std::uint64_t unit = 1;
  while (power < kLetters.size() && bytes / unit >= 1024) {
    unit *= 1024;
    ++power;
  }
  if (power == 0) return std::to_string(bytes);
  const std::uint64_t tenths = bytes / unit * 10 + bytes % unit * 10 / unit;
  return show_thousandths(tenths * 100) + kLetters[power - 1];
}

std::string show_duration(Duration duration) {
  const std::uint64_t us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
  const std::uint64_t seconds = us / 1'000'000;
  const auto two = [](std::uint64_t large, const char* a, std::uint64_t small, const char* b) {
    return std::to_string(large) + a + (small == 0 ? "" : std::to_string(small) + b);
  };
  if (seconds >= 86'400) return two(seconds / 86'400, "d", seconds % 86'400 / 3'600, "h");
  if (seconds >= 3'600) return two(seconds / 3'600, "h", seconds % 3'600 / 60, "m");
  if (seconds >= 60) return two(seconds / 60, "m", seconds % 60, "s");
  if (seconds >= 1) return show_thousandths(us / 100'000 * 100) + 's';
  return std::to_string(us / 1000) + "ms";
}

std::string show_millicores(std::uint64_t millicores) {
  return show_thousandths(millicores);
}

bool names_interfaces(std::string_view text) {
  static constexpr std::string_view kOther = "._:/@-";
  bool part_is_empty = true;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool known = letter || kOther.find(c) != std::string_view::npos;
    if (c == ',' ? part_is_empty : !known) return false;
    part_is_empty = c == ',';
  }
  // What schema/gang.capnp's readers take.
  return !part_is_empty && text.size() <= 1024;
}

}  // namespace leat::definitions
