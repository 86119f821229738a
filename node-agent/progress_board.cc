#include "node-agent/progress_board.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/utf8.h"

namespace leat::agent {
namespace {

constexpr std::uint64_t kPermilleMax = 1000;

// The number at the front of `text` and the `end` behind it go.
std::optional<std::uint64_t> take_number(std::string_view& text, char end, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop == text.data() + text.size() || *stop != end || value > max)
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
  return value;
}

// People read it on a terminal, and programs as JSON.
std::string clean(std::string_view text) {
  std::string message;
  while (!text.empty()) {
    const Utf8Character next = decode_utf8(text);
    const std::size_t length = std::max<std::size_t>(1, next.length);
    const bool is_control = next.number < 0x20 || (next.number >= 0x7f && next.number < 0xa0);
    const std::string_view shown = next.length == 0 ? "?"
                                   : is_control     ? " "
                                                    : text.substr(0, length);
    if (message.size() + shown.size() > kProgressMessageMax) break;
    message += shown;
    text.remove_prefix(length);
  }
  message.erase(message.find_last_not_of(' ') + 1);
  return message;
}

}  // namespace

std::optional<TaskProgress> parse_progress(std::string_view record) {
  constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();
  if (take_number(record, ' ', kAny) != 1) return std::nullopt;
  const auto job = take_number(record, '.', kAny);
  const auto stage = take_number(record, '.', std::numeric_limits<StageId>::max());
  const auto index = take_number(record, '.', kIndexLimit - 1);
  const auto attempt = take_number(record, ' ', std::numeric_limits<Attempt>::max());
  // A word without a message may end with the number.
  std::string rest(record);
  rest += ' ';
  std::string_view left = rest;
  const auto permille = take_number(left, ' ', kPermilleMax);
  if (!job || !stage || !index || !attempt || !permille) return std::nullopt;
  return TaskProgress{
      {JobId{*job}, static_cast<StageId>(*stage), static_cast<Attempt>(*attempt), *index},
      static_cast<std::uint16_t>(*permille),
      clean(left)};
}

bool ProgressBoard::take(TaskProgress word) {
  const auto known = words_.find(word.run);
  if (known == words_.end() && words_.size() >= kRunsMax) return false;
  Word& entry = known == words_.end() ? words_[word.run] : known->second;
  if (!entry.place) entry.place = news_.insert(news_.end(), word.run);
  entry.told = std::move(word);
  return true;
}

void ProgressBoard::keep_only(const std::function<bool(const RunId&)>& wanted) {
  for (auto at = words_.begin(); at != words_.end();) {
    if (wanted(at->first)) {
      ++at;
      continue;
    }
    if (at->second.place) news_.erase(*at->second.place);
    at = words_.erase(at);
  }
}

std::vector<TaskProgress> ProgressBoard::news() {
  std::vector<TaskProgress> told;
  while (!news_.empty() && told.size() < kToldAtOnce) {
    Word& word = words_.at(news_.front());
    told.push_back(word.told);
    word.place.reset();
    news_.pop_front();
  }
  return told;
}

void ProgressBoard::all_is_news() {
  for (auto& [run, word] : words_)
    if (!word.place) word.place = news_.insert(news_.end(), run);
}

}  // namespace leat::agent
