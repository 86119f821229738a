#include "cli/json_lines.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/ids.h"
#include "base/placeholders.h"

namespace leat::cli {
namespace {

using Json = nlohmann::json;

// What the parser says is wrong, without its name and number: "at column 7: …".
std::string complaint(std::string_view line) {
  try {
    const Json parsed = Json::parse(line);
  } catch (const Json::parse_error& error) {
    return "is not JSON, at its byte " + std::to_string(error.byte);
  } catch (const Json::exception&) {
    return "holds a number that is out of range";
  }
  return "is not JSON";
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool fits_an_argument(const Json& value) {
  return !value.is_string() || value.get_ref<const std::string&>().find('\0') == std::string::npos;
}

}  // namespace

JsonLines::JsonLines(const std::vector<std::string>& argv,
                     std::function<void(std::uint64_t)> on_offset)
    : on_offset_(std::move(on_offset)) {
  const auto note = [this](std::string_view name) -> std::optional<std::string> {
    if (!name.empty()) names_.try_emplace(std::string(name));
    return std::nullopt;
  };
  for (std::size_t i = 1; i < argv.size(); ++i) (void)fill_placeholders(argv[i], note);
}

Result<Done> JsonLines::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
    line_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    if (line_.size() > kJsonLineBytesMax) return invalid(at(lines_ + 1) + "longer than 16 MiB");
    if (end == std::string_view::npos) break;
    if (Result<Done> done = take_line(); !done.ok()) return done;
  }
  return Done{};
}

Result<Done> JsonLines::take_line() {
  ++lines_;
  Result<Done> done = Done{};
  if (!is_blank(line_)) {
    on_offset_(line_start_);
    done = take_object(line_);
  }
  line_start_ += line_.size();
  line_.clear();
  return done;
}

Result<Done> JsonLines::take_object(std::string_view line) {
  if (++objects_ > kTasksPerJobMax) return invalid("more than 2^32 objects");
  const Json object = Json::parse(line, nullptr, false);
  if (object.is_discarded()) return invalid(at(lines_) + complaint(line));
  if (!object.is_object())
    return invalid(at(lines_) + "is not a JSON object: write one like {\"n\": 5}");
  for (auto& [name, seen] : names_) {
    const auto field = object.find(name);
    std::uint64_t& first = field == object.end() ? seen.without : seen.with;
    if (first == 0) first = lines_;
    if (field != object.end() && !fits_an_argument(*field))
      return invalid(at(lines_)
                         .append("field \"")
                         .append(name)
                         .append("\" holds a zero character, which no argument can"));
    if (seen.with != 0 && seen.without != 0)
      return invalid(at(seen.without)
                         .append("has no field \"")
                         .append(name)
                         .append("\", which stands as {")
                         .append(name)
                         .append("} in the arguments and which line ")
                         .append(std::to_string(seen.with))
                         .append(" has"));
  }
  return Done{};
}

Result<Done> JsonLines::finish() {
  if (!line_.empty())
    if (Result<Done> done = take_line(); !done.ok()) return done;
  if (objects_ == 0) return invalid("empty: one task per JSON object is made");
  on_offset_(line_start_);
  return Done{};
}

}  // namespace leat::cli
