#include "cli/render.h"

#include <algorithm>
#include <ctime>
#include <optional>

#include "cli/console.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

constexpr std::string_view kNothing = "-";

std::optional<std::int64_t> number_of(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value.kind())) return *number;
  if (const auto* number = std::get_if<std::uint64_t>(&value.kind()))
    return static_cast<std::int64_t>(*number);
  return std::nullopt;
}

std::string local_time(std::int64_t wall_us) {
  const std::time_t seconds = wall_us / 1'000'000;
  std::tm parts{};
  if (localtime_r(&seconds, &parts) == nullptr) return std::string(kNothing);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts));
}

std::string render_number(std::int64_t number, Form form) {
  const std::uint64_t count = static_cast<std::uint64_t>(std::max<std::int64_t>(0, number));
  switch (form) {
    case Form::kBytes:
      return definitions::show_size(count);
    case Form::kCores:
      return definitions::show_millicores(count);
    case Form::kDuration:
      return definitions::show_duration(Duration(number));
    case Form::kTime:
      return number == 0 ? std::string(kNothing) : local_time(number);
    case Form::kText:
    case Form::kNumber:
      return std::to_string(number);
  }
  return std::string(kNothing);
}

bool is_flush_right(Form form) {
  return form != Form::kText && form != Form::kTime;
}

// Characters, near enough: bytes that do not continue one.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, width_of(text)), ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

std::string render_cell(const Value& value, Form form) {
  if (const auto* text = std::get_if<std::string>(&value.kind()))
    return text->empty() ? std::string(kNothing) : printable(*text);
  if (const auto* truth = std::get_if<bool>(&value.kind())) return *truth ? "yes" : "no";
  if (const auto* list = std::get_if<Value::List>(&value.kind())) {
    std::string joined;
    for (const Value& element : *list)
      joined += (joined.empty() ? "" : ",") + render_cell(element, form);
    return joined.empty() ? std::string(kNothing) : joined;
  }
  if (std::holds_alternative<double>(value.kind())) {
    std::string text = to_json(value);
    text.pop_back();  // the end of the line
    return text;
  }
  const std::optional<std::int64_t> number = number_of(value);
  return number ? render_number(*number, form) : std::string(kNothing);
}

std::string render_table(const std::vector<Column>& columns, const Value::List& rows) {
  std::vector<std::vector<std::string>> lines;
  lines.reserve(rows.size() + 1);
  std::vector<std::string> titles;
  titles.reserve(columns.size());
  for (const Column& column : columns) titles.emplace_back(column.title);
  lines.push_back(std::move(titles));
  for (const Value& row : rows) {
    std::vector<std::string> cells;
    cells.reserve(columns.size());
    for (const Column& column : columns)
      cells.push_back(render_cell(row.at(column.path), column.form));
    lines.push_back(std::move(cells));
  }
  std::vector<std::size_t> widths(columns.size(), 0);
  for (const std::vector<std::string>& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], width_of(line[i]));
  std::string table;
  for (const std::vector<std::string>& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i)
      text += (i == 0 ? "" : "  ") + padded(line[i], widths[i], is_flush_right(columns[i].form));
    text.erase(text.find_last_not_of(' ') + 1);
    table += text + '\n';
  }
  return table;
}

std::string render_fields(const std::vector<Column>& columns, const Value& row) {
  std::size_t width = 0;
  for (const Column& column : columns) width = std::max(width, column.title.size());
  std::string lines;
  for (const Column& column : columns) {
    const std::string cell = render_cell(row.at(column.path), column.form);
    if (cell == kNothing) continue;
    lines += padded(std::string(column.title) + ':', width + 2, false) + cell + '\n';
  }
  return lines;
}

}  // namespace leat::cli
