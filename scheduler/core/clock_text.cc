#include "scheduler/core/clock_text.h"

#include <algorithm>

namespace leat::core {
namespace {

std::string two_digits(std::int64_t number) {
  return std::to_string(100 + number).substr(1);
}

struct Date {
  std::int64_t year, month, day;
};

// Counts days in years that begin with March, so that the leap day is a year's last.
Date date_of(std::int64_t days_since_1970) {
  constexpr std::int64_t kDaysOf400Years = 146'097;
  const std::int64_t days = days_since_1970 + 719'468;  // since 0000-03-01
  const std::int64_t era = days / kDaysOf400Years;
  const std::int64_t of_era = days % kDaysOf400Years;
  const std::int64_t year = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t month = (5 * of_year + 2) / 153;  // from March
  const std::int64_t day = of_year - (153 * month + 2) / 5 + 1;
  return {era * 400 + year + (month >= 10 ? 1 : 0), month < 10 ? month + 3 : month - 9, day};
}

}  // namespace

std::string clock_text(std::int64_t wall_us) {
  if (wall_us <= 0) return "an unknown time";
  const std::int64_t seconds = wall_us / 1'000'000;
  const Date date = date_of(seconds / 86'400);
  const std::int64_t of_day = seconds % 86'400;
  return std::to_string(date.year) + '-' + two_digits(date.month) + '-' + two_digits(date.day) +
         ' ' + two_digits(of_day / 3'600) + ':' + two_digits(of_day % 3'600 / 60) + ':' +
         two_digits(of_day % 60) + " UTC";
}

std::string span_text(Duration span) {
  const std::int64_t ms = std::max<std::int64_t>(span.count(), 0) / 1000;
  const std::int64_t s = ms / 1000;
  const auto two = [](std::int64_t a, const char* unit_a, std::int64_t b, const char* unit_b) {
    return std::to_string(a) + unit_a + (b == 0 ? "" : std::to_string(b) + unit_b);
  };
  if (s >= 86'400) return two(s / 86'400, "d", s % 86'400 / 3'600, "h");
  if (s >= 3'600) return two(s / 3'600, "h", s % 3'600 / 60, "m");
  if (s >= 60) return two(s / 60, "m", s % 60, "s");
  return s >= 1 ? std::to_string(s) + "s" : std::to_string(ms) + "ms";
}

}  // namespace leat::core
