#include "base/run_columns.h"

#include <utility>

namespace leat {
namespace {

template <typename T>
Column<T> column_of(const std::vector<RunRow>& rows, T RunRow::*cell) {
  std::vector<T> values;
  values.reserve(rows.size());
  for (const RunRow& row : rows) values.push_back(row.*cell);
  return Column<T>(std::move(values));
}

}  // namespace

RunColumns to_columns(const std::vector<RunRow>& rows) {
  RunColumns columns;
  columns.outcome = column_of(rows, &RunRow::outcome);
  columns.code = column_of(rows, &RunRow::code);
  columns.start_us = column_of(rows, &RunRow::start_us);
  columns.duration_us = column_of(rows, &RunRow::duration_us);
  columns.cpu_us = column_of(rows, &RunRow::cpu_us);
  columns.peak_kib = column_of(rows, &RunRow::peak_kib);
  columns.output_bytes = column_of(rows, &RunRow::output_bytes);
  columns.flags = column_of(rows, &RunRow::flags);
  return columns;
}

RunRow row_of(const RunColumns& columns, std::size_t n) {
  return {columns.outcome.at(n),      columns.code.at(n),   columns.start_us.at(n),
          columns.duration_us.at(n),  columns.cpu_us.at(n), columns.peak_kib.at(n),
          columns.output_bytes.at(n), columns.flags.at(n)};
}

}  // namespace leat
