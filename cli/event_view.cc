#include "cli/event_view.h"

#include <charconv>
#include <vector>

#include "base/index_list.h"
#include "cli/job_view.h"
#include "cli/render.h"

namespace leat::cli {
namespace {

// "0-63,100"; more than a line's worth is cut.
std::string indices_text(capnp::List<schema::Stride>::Reader strides) {
  constexpr unsigned kShown = 8;
  std::string text;
  for (unsigned n = 0; n < strides.size() && n < kShown; ++n) {
    const schema::Stride::Reader stride = strides[n];
    const std::uint64_t last =
        stride.getFirst() + (stride.getCount() - 1) * std::max<std::uint64_t>(stride.getStep(), 1);
    if (!text.empty()) text += ',';
    text += std::to_string(stride.getFirst());
    if (stride.getCount() > 1) text += '-' + std::to_string(last);
    if (stride.getCount() > 1 && stride.getStep() > 1)
      text += ':' + std::to_string(stride.getStep());
  }
  return strides.size() > kShown ? text + ",…" : text;
}

// "17", "17.0-63", "17.1.0-7".
std::string subject(schema::Event::Reader event) {
  std::string text = std::to_string(event.getJob());
  if (event.getIndices().size() == 0 || read_text(event.getKind()) == "job-accepted") return text;
  if (event.getStage() > 0) text += '.' + std::to_string(event.getStage());
  return text + '.' + indices_text(event.getIndices());
}

template <typename Number>
bool read_whole(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Result<EventCursor> parse_cursor(const std::string& text) {
  EventCursor cursor;
  const std::string_view view = text;
  const std::size_t dot = view.find('.');
  const bool turn = read_whole(view.substr(0, dot), cursor.turn);
  const bool fact = dot == std::string::npos || read_whole(view.substr(dot + 1), cursor.fact);
  if (!turn || !fact)
    return invalid("\"" + text + "\" is no cursor: give one that leat events showed, or now");
  return cursor;
}

std::string cursor_text(EventCursor cursor) {
  const std::string turn = std::to_string(cursor.turn);
  return cursor.fact == 0 ? turn : turn + '.' + std::to_string(cursor.fact);
}

EventCursor read_cursor(schema::EventCursor::Reader cursor) {
  return {cursor.getTurn(), cursor.getFact()};
}

Value::Object event_row(schema::Event::Reader event) {
  Value::Object row{{"cursor", cursor_text(read_cursor(event.getNext()))},
                    {"at_us", event.getAtUs()},
                    {"kind", read_text(event.getKind())}};
  if (event.getJob() != 0) row.push_back({"job", event.getJob()});
  if (event.getIndices().size() > 0) {
    Value::List strides;
    for (const schema::Stride::Reader stride : event.getIndices())
      strides.push_back(Value::List{stride.getFirst(), stride.getCount(), stride.getStep()});
    row.push_back({"stage", std::uint64_t{event.getStage()}});
    row.push_back({"strides", std::move(strides)});
    row.push_back({"count", event.getCount()});
  }
  if (event.getAttempt() != 0) row.push_back({"attempt", event.getAttempt()});
  if (event.getNode() != 0) row.push_back({"node", event.getNode()});
  if (event.getPool() != 0) row.push_back({"pool", event.getPool()});
  if (event.getState().size() > 0) row.push_back({"state", read_text(event.getState())});
  if (event.getRetryInUs() > 0) row.push_back({"retry_in_us", event.getRetryInUs()});
  if (event.getPerson()) row.push_back({"uid", event.getUid()});
  if (event.getText().size() > 0) row.push_back({"text", read_text(event.getText())});
  return row;
}

std::string event_line(schema::Event::Reader event) {
  std::string line = render_cell(Value(event.getAtUs()), Form::kTime) + "  " +
                     cursor_text(read_cursor(event.getNext())) + "  " + read_text(event.getKind());
  if (event.getJob() != 0) line += "  " + subject(event);
  if (event.getState().size() > 0) line += ' ' + read_text(event.getState());
  if (event.getAttempt() > 1) line += ", run " + std::to_string(event.getAttempt());
  if (event.getNode() != 0)
    line += (event.getJob() != 0 ? " on node " : "  node ") + std::to_string(event.getNode());
  if (event.getRetryInUs() > 0)
    line += "  retry in " + render_cell(Value(event.getRetryInUs()), Form::kDuration);
  if (event.getPool() != 0) line += "  pool " + std::to_string(event.getPool());
  if (event.getText().size() > 0) line += "  " + read_text(event.getText());
  if (event.getPerson()) line += "  by uid " + std::to_string(event.getUid());
  return line;
}

Value::Object gap_row(std::uint64_t lost_turns, EventCursor next) {
  return {{"cursor", cursor_text(next)}, {"kind", "gap"}, {"lost_turns", lost_turns}};
}

std::string gap_line(std::uint64_t lost_turns) {
  return "-- gap: the events of " + std::to_string(lost_turns) + " turns are no longer kept --";
}

}  // namespace leat::cli
