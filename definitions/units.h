#pragma once

// units.h - sizes, times and core counts as people write them.
//
// Used for the command line and for definition files, so that both read the same words.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/resources.h"
#include "base/result.h"
#include "base/time.h"

namespace leat::definitions {

// Longer times are refused; so are larger sizes than 2^62 bytes.
inline constexpr Duration kDurationMax = std::chrono::hours(24 * 365 * 100);
// Cores of one task, in thousandths.
inline constexpr std::uint32_t kMillicoresMax = 1'000'000'000;

// "512", "2G", "1.5GiB", "200MB" in bytes. K M G T P and KiB … are powers of 1024 (as memory is
// asked for everywhere), KB MB … powers of 1000. Up to three digits after the point.
Result<std::uint64_t> parse_size(std::string_view text);

// "90" (seconds), "250ms", "1h30m", "2d", "HH:MM:SS". Parts stand from large to small: d h m s ms.
Result<Duration> parse_duration(std::string_view text);

// "2", "0.5": thousandths of a core, at least one.
Result<std::uint32_t> parse_millicores(std::string_view text);

// A whole number without sign, blanks or anything after it. The refusal names `range`.
Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max);

// "licence=2": so many of something that only has a name, at least one.
Result<Counter> parse_counter(std::string_view text);

// The shortest form that parse_size() reads back to about the same: "1.5G", "512M", "17".
std::string show_size(std::uint64_t bytes);

// "1d3h", "1h30m", "3m12s", "12.3s", "250ms": two units, rounded down.
std::string show_duration(Duration duration);

// "2", "0.5".
std::string show_millicores(std::uint64_t millicores);

// Whether this could be a list of interfaces or networks, "eth0,10.0.0.0/8".
bool names_interfaces(std::string_view text);

}  // namespace leat::definitions
