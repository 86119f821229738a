#include "cli/task_name.h"

#include <limits>
#include <string>
#include <utility>

#include "definitions/units.h"

namespace leat::cli {
namespace {

Refusal not_a_name(std::string_view text, const char* forms) {
  return invalid('"' + std::string(text) + "\" names nothing: write " + forms);
}

constexpr const char* kAnyForms = "a job like 17, a task like 17.42 or 17.1.42, or last";

}  // namespace

Result<TaskName> parse_name(std::string_view text) {
  TaskName name;
  const std::size_t dot = text.find('.');
  const std::string_view job = text.substr(0, dot);
  if (job != "last") {
    const Result<std::uint64_t> number =
        definitions::parse_number(job, 1, std::numeric_limits<std::uint64_t>::max());
    if (!number.ok()) return not_a_name(text, kAnyForms);
    name.job = JobId{number.value()};
  }
  if (dot == std::string_view::npos) return name;
  std::string_view indices = text.substr(dot + 1);
  const std::size_t second = indices.find('.');
  if (second != std::string_view::npos) {
    const Result<std::uint64_t> stage = definitions::parse_number(
        indices.substr(0, second), 0, std::numeric_limits<StageId>::max());
    if (!stage.ok()) return not_a_name(text, kAnyForms);
    name.stage = static_cast<StageId>(stage.value());
    indices.remove_prefix(second + 1);
  }
  Result<IndexList> list = IndexList::parse(indices);
  if (!list.ok()) return list.refusal();
  name.indices = std::move(list).value();
  return name;
}

Result<TaskName> parse_job(std::string_view text) {
  Result<TaskName> name = parse_name(text);
  if (!name.ok() || name.value().indices.empty()) return name;
  return not_a_name(text, "a job like 17, or last");
}

Result<TaskName> parse_task(std::string_view text) {
  Result<TaskName> name = parse_name(text);
  if (!name.ok() || name.value().names_task()) return name;
  return not_a_name(text, "one task like 17.42, 17.1.42 or last.42");
}

}  // namespace leat::cli
