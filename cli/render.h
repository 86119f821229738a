#pragma once

// render.h - rows as a table for people.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/value.h"

namespace leat::cli {

enum class Form : std::uint8_t {
  kText,
  kNumber,    // flush right
  kBytes,     // flush right, "1.5G"
  kCores,     // flush right, thousandths
  kDuration,  // flush right, microseconds
  kTime,      // microseconds since 1970, as local time
};

struct Column {
  std::string_view path;  // into a row, see Value::at
  std::string_view title;
  Form form = Form::kText;
};

// One cell. Nothing to show is "-".
std::string render_cell(const Value& value, Form form);

// Titles and rows in aligned columns, no blanks at the ends of lines.
std::string render_table(const std::vector<Column>& columns, const Value::List& rows);

// "Name: value" lines, values aligned, of one row; what is "-" is left out.
std::string render_fields(const std::vector<Column>& columns, const Value& row);

}  // namespace leat::cli
