#include "cli/job_waits.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "cli/failure.h"
#include "cli/task_name.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using definitions::JobDefinition;
using definitions::Word;

constexpr int kSignalMax = 64;
constexpr std::uint64_t kCodeMax = 255;
constexpr Duration kRetryDelayMax = std::chrono::hours(24 * 31);
constexpr std::uint32_t kFactorMilliMax = 100'000;
constexpr std::size_t kAfterMax = 64;

std::string quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

// "USR1", "SIGUSR1" or, where numbers are signals, "10".
std::optional<std::uint8_t> signal_of(std::string_view text, bool numbers) {
  if (numbers) {
    const Result<std::uint64_t> number = definitions::parse_number(text, 1, kSignalMax);
    if (number.ok()) return static_cast<std::uint8_t>(number.value());
  }
  if (text.rfind("SIG", 0) == 0) text.remove_prefix(3);
  for (int number = 1; number <= kSignalMax; ++number) {
    const char* const name = ::sigabbrev_np(number);
    if (name != nullptr && text == name) return static_cast<std::uint8_t>(number);
  }
  return std::nullopt;
}

// One element of --retry-on; false if it makes no sense.
bool add_retry_on(std::string_view part, RetryOnRequest& on) {
  if (part == "time-limit") return on.outcomes.push_back(schema::Outcome::TIME_LIMIT), true;
  if (part == "out-of-memory") return on.outcomes.push_back(schema::Outcome::OUT_OF_MEMORY), true;
  if (part == "could-not-start")
    return on.outcomes.push_back(schema::Outcome::COULD_NOT_START), true;
  if (const auto signal = signal_of(part, false)) return on.signals.push_back(*signal), true;
  const std::size_t dash = part.find('-');
  const Result<std::uint64_t> first = definitions::parse_number(part.substr(0, dash), 1, kCodeMax);
  if (!first.ok()) return false;
  std::uint64_t last = first.value();
  if (dash != std::string_view::npos) {
    const Result<std::uint64_t> end =
        definitions::parse_number(part.substr(dash + 1), first.value(), kCodeMax);
    if (!end.ok()) return false;
    last = end.value();
  }
  for (std::uint64_t code = first.value(); code <= last; ++code)
    on.codes.push_back(static_cast<std::uint8_t>(code));
  return true;
}

template <typename T>
void fold(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

// The field makes sense only beside another one.
void demand(const Word& word, bool there, std::string_view option, const std::string& why) {
  if (there) return;
  const bool is_option = word.where.rfind("--", 0) == 0;
  fail(ExitCode::kUsage,
       word.where + ": give " + (is_option ? "--" : "") + std::string(option) + " too, " + why);
}

}  // namespace

Result<AfterRequest> parse_after(std::string_view text) {
  const Refusal nonsense = invalid(
      quoted(text) +
      " is nothing to come after: write JOB, JOB:success, JOB:failure or JOB:any, and /element "
      "behind it for task by task");
  AfterRequest after;
  std::string_view rest = text;
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    if (rest.substr(slash) != "/element") return nonsense;
    after.element_wise = true;
    rest = rest.substr(0, slash);
  }
  const std::size_t colon = rest.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view word = rest.substr(colon + 1);
    if (word == "success")
      after.on = schema::After::Condition::SUCCESS;
    else if (word == "failure")
      after.on = schema::After::Condition::FAILURE;
    else if (word == "any")
      after.on = schema::After::Condition::ANY;
    else
      return nonsense;
    rest = rest.substr(0, colon);
  }
  const Result<TaskName> name = parse_job(rest);
  if (!name.ok()) return nonsense;
  after.job = name.value().job;
  return after;
}

Result<RetryDelayRequest> parse_retry_delay(std::string_view text) {
  const Refusal nonsense =
      invalid(quoted(text) +
              " is not a delay: write one like 10s, or 10s,2,10m to double it up to 10 minutes");
  const std::vector<std::string_view> parts = split(text);
  RetryDelayRequest delay;
  const Result<Duration> first = definitions::parse_duration(parts[0]);
  if (!first.ok() || parts.size() > 3) return nonsense;
  delay.first = first.value();
  if (parts.size() > 1) {
    const Result<std::uint32_t> factor = definitions::parse_millicores(parts[1]);
    if (!factor.ok()) return nonsense;
    if (factor.value() < 1000 || factor.value() > kFactorMilliMax)
      return invalid(quoted(text) + ": the factor is from 1 to 100");
    delay.factor_milli = factor.value();
  }
  if (parts.size() > 2) {
    const Result<Duration> max = definitions::parse_duration(parts[2]);
    if (!max.ok()) return nonsense;
    if (max.value() < delay.first)
      return invalid(quoted(text) + ": the longest delay is shorter than the first");
    delay.max = max.value();
  }
  if (delay.first == Duration(0)) return invalid(quoted(text) + ": leave it out for no delay");
  if (delay.first > kRetryDelayMax || delay.max > kRetryDelayMax)
    return invalid(quoted(text) + ": at most 31 days");
  return delay;
}

Result<RetryOnRequest> parse_retry_on(std::string_view text) {
  RetryOnRequest on;
  for (const std::string_view part : split(text))
    if (!add_retry_on(part, on))
      return invalid(quoted(part) +
                     " is no way to fail: write exit codes from 1 to 255 like 75 or 100-110, "
                     "signals like SIGKILL, time-limit, out-of-memory or could-not-start");
  fold(on.codes);
  fold(on.signals);
  fold(on.outcomes);
  return on;
}

Result<WarningRequest> parse_warning(std::string_view text) {
  const std::size_t at = text.find('@');
  const auto signal = signal_of(text.substr(0, at), true);
  if (at == std::string_view::npos || !signal)
    return invalid(quoted(text) + " is no warning: write a signal and a time, like USR1@30s");
  const Result<Duration> before = definitions::parse_duration(text.substr(at + 1));
  if (!before.ok()) return before.refusal();
  if (before.value() == Duration(0))
    return invalid(quoted(text) + ": SIGTERM comes at the limit itself");
  return WarningRequest{*signal, before.value()};
}

void read_waits(const JobDefinition& job, JobRequest& request) {
  const std::vector<Word>& after = job.all("after");
  if (after.size() > kAfterMax)
    fail(ExitCode::kUsage, after.back().where + ": at most 64 jobs to come after");
  for (const Word& word : after)
    request.after.push_back(value_or_fail(parse_after(word.text), word.where + ' '));
  if (const Word* word = job.find("retry-delay")) {
    request.retry_delay = value_or_fail(parse_retry_delay(word->text), word->where + ' ');
    demand(*word, request.retries > 0, "retries", "it says how often");
  }
  if (const Word* word = job.find("retry-on")) {
    request.retry_on = value_or_fail(parse_retry_on(word->text), word->where + ' ');
    demand(*word, request.retries > 0, "retries", "it says how often");
  }
  if (const Word* word = job.find("start-within")) {
    request.start_within =
        value_or_fail(definitions::parse_duration(word->text), word->where + ' ');
    if (request.start_within == Duration(0))
      fail(ExitCode::kUsage, word->where + " 0: leave it out to wait as long as it takes");
  }
  if (const Word* word = job.find("signal")) {
    request.warning = value_or_fail(parse_warning(word->text), word->where + ' ');
    demand(*word, request.time_limit > Duration(0), "time", "it is counted back from there");
    if (request.warning->before >= request.time_limit)
      fail(ExitCode::kUsage, word->where + ' ' + word->text +
                                 ": comes before the start of a task that may run for " +
                                 definitions::show_duration(request.time_limit));
  }
}

}  // namespace leat::cli
