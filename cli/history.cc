// history.cc - `leat history sql|export|prune`: what is over, for accounting.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include "cli/command.h"
#include "cli/head.h"
#include "cli/history_file.h"
#include "cli/render.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

// Copying goes on beside everything else the head does.
constexpr Duration kCopyDeadline = std::chrono::hours(1);
constexpr std::uint64_t kRowsDefault = 10'000;
constexpr std::uint64_t kRowsMax = 100'000'000;
constexpr Duration kQueryTime = std::chrono::seconds(60);

// A file of the head's, for the caller to remove.
std::string copy_history(Head& head) {
  const auto answer =
      head.ask([](schema::Scheduler::Client& client) { return client.copyHistoryRequest().send(); },
               {}, kCopyDeadline);
  const schema::CopyResult::Reader result = answer;
  if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
  const capnp::Text::Reader path = result.getPath();
  return std::string(path.begin(), path.size());
}

std::string csv_cell(const Value& value) {
  if (std::holds_alternative<std::monostate>(value.kind())) return {};
  std::string text = to_json(value);
  text.pop_back();  // the end of the line
  if (const auto* words = std::get_if<std::string>(&value.kind())) text = *words;
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

class HistorySql final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("SELECT…", sql_, "one SELECT, quoted; man leat-history names the tables");
    arguments.option("--limit", "N", limit_, "at most N rows (default: 10000)");
    arguments.option("--timeout", "DURATION", timeout_, "stop after so long (default: 60s)");
    arguments.flag("--csv", csv_, "comma-separated values, with a line of titles");
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    if (csv_ && json_) fail(ExitCode::kUsage, "--csv and --json: give one of them");
    QueryLimits limits;
    limits.rows = limit_
                      ? value_or_fail(definitions::parse_number(*limit_, 1, kRowsMax), "--limit ")
                      : kRowsDefault;
    const Duration time =
        timeout_ ? value_or_fail(definitions::parse_duration(*timeout_), "--timeout ") : kQueryTime;
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    HistoryFile file(copy_history(head));
    const std::int64_t end_us = shell.surroundings.wall_us() + time.count();
    limits.out_of_time = [&shell, end_us] { return shell.surroundings.wall_us() >= end_us; };
    const QueryEnd end = file.query(
        *sql_, limits, [this, &shell](const auto& names) { begin(shell.console, names); },
        [this, &shell](Value::List cells) { add(shell.console, std::move(cells)); });
    if (end == QueryEnd::kOutOfTime)
      fail(ExitCode::kTimedOut, "the query took longer than " + definitions::show_duration(time) +
                                    ": ask for less, or give --timeout");
    finish(shell.console, end == QueryEnd::kMoreRows);
    if (end == QueryEnd::kMoreRows)
      shell.console.talk("leat: only the first " + std::to_string(limits.rows) +
                         " rows: --limit shows more");
    return ExitCode::kDone;
  }

 private:
  void begin(Console& console, const std::vector<std::string>& names) {
    names_ = names;
    if (csv_) console.out(csv_line(Value::List(names.begin(), names.end())));
  }

  void add(Console& console, Value::List cells) {
    if (csv_) return console.out(csv_line(cells));
    if (json_) return rows_.emplace_back(std::move(cells)), void();
    Value::Object row;
    for (std::size_t n = 0; n < cells.size(); ++n)
      row.push_back({std::to_string(n), std::move(cells[n])});
    rows_.emplace_back(std::move(row));
  }

  void finish(Console& console, bool more) {
    if (csv_) return;
    if (json_)
      return console.out(json_document({{"columns", Value::List(names_.begin(), names_.end())},
                                        {"rows", std::move(rows_)},
                                        {"more", more}}));
    std::vector<std::string> paths;
    for (std::size_t n = 0; n < names_.size(); ++n) paths.push_back(std::to_string(n));
    std::vector<Column> columns;
    for (std::size_t n = 0; n < names_.size(); ++n) columns.push_back({paths[n], names_[n]});
    console.out(render_table(columns, rows_));
  }

  static std::string csv_line(const Value::List& cells) {
    std::string line;
    for (const Value& value : cells) line += (line.empty() ? "" : ",") + csv_cell(value);
    return line + "\n";
  }

  std::optional<std::string> sql_, limit_, timeout_;
  bool csv_ = false;
  bool json_ = false;
  std::vector<std::string> names_;
  Value::List rows_;
};

class HistoryExport final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("FILE", file_, "where to; it must not exist");
  }

  ExitCode run(Shell& shell) override {
    const bool absolute = file_->rfind('/', 0) == 0;
    const std::string path = absolute ? *file_ : shell.surroundings.directory + '/' + *file_;
    if (::access(path.c_str(), F_OK) == 0) fail(ExitCode::kUsage, path + ": exists: name another");
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const std::string made = copy_history(head);
    // A new name for the file; over to another file system it is copied.
    int error = ::link(made.c_str(), path.c_str()) == 0 ? 0 : errno;
    if (error == EXDEV || error == EPERM) error = copy(made, path);
    (void)::unlink(made.c_str());
    if (error != 0) fail(ExitCode::kUsage, path + ": " + std::strerror(error));
    shell.console.talk("history is in " + path + ": ask it with sqlite3, see man leat-history");
    return ExitCode::kDone;
  }

 private:
  // 0 or the errno; then there is no file either.
  static int copy(const std::string& from, const std::string& to) {
    const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    ::close(fd);
    errno = 0;
    std::ifstream in(from, std::ios::binary);
    std::ofstream out(to, std::ios::binary);
    out << in.rdbuf();
    out.flush();
    if (in && out) return 0;
    const int error = errno == 0 ? EIO : errno;
    (void)::unlink(to.c_str());
    return error;
  }

  std::optional<std::string> file_;
};

// "30d": so long ago; "2026-11-01", "2026-11-01T12:00:00": local time.
std::int64_t read_instant(const std::string& text, std::int64_t now_us) {
  const Result<Duration> age = definitions::parse_duration(text);
  if (age.ok()) return now_us - age.value().count();
  for (const char* const form : {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"}) {
    std::tm parts{};
    parts.tm_isdst = -1;
    const char* const end = ::strptime(text.c_str(), form, &parts);
    if (end == nullptr || *end != '\0') continue;
    const std::time_t seconds = std::mktime(&parts);
    if (seconds != -1) return std::int64_t{seconds} * 1'000'000;
  }
  fail(ExitCode::kUsage, "--before \"" + text +
                             "\" is no instant: write an age like 30d, or 2026-11-01, or "
                             "2026-11-01T12:00:00");
}

class HistoryPrune final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--before", "TIME", before_,
                     "an age like 30d, a day like 2026-11-01, or 2026-11-01T12:00:00");
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    if (!before_) fail(ExitCode::kUsage, "--before TIME is missing: it says what is old");
    const std::int64_t before_us = read_instant(*before_, shell.surroundings.wall_us());
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const auto answer = head.ask(
        [before_us](schema::Scheduler::Client& client) {
          auto request = client.pruneHistoryRequest();
          request.setBeforeUs(before_us);
          return request.send();
        },
        {}, kCopyDeadline);
    const schema::PruneResult::Reader result = answer;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()), "--before " + *before_ + ": ");
    const auto pruned = result.getPruned();
    const Value::Object row{{"before_us", before_us},
                            {"jobs", pruned.getJobs()},
                            {"run_rows", pruned.getRuns()},
                            {"events", pruned.getOthers()}};
    const auto count = [&row](std::size_t n) { return render_cell(row[n].value, Form::kNumber); };
    shell.console.out(json_ ? json_document(row)
                            : "deleted " + count(1) + " jobs, " + count(2) + " rows of runs, " +
                                  count(3) + " events\n");
    return ExitCode::kDone;
  }

 private:
  std::optional<std::string> before_;
  bool json_ = false;
};

constexpr std::string_view kHistorySqlDetails =
    R"(Asks the history of ended jobs, runs, nodes and of what people did, with SQL. The head
makes a copy beside its other work and the query runs here, on the copy: it disturbs
nobody, and can change nothing.

  leat history sql 'SELECT name, ended_us - started_us FROM job_history'
  leat history sql --csv "SELECT * FROM job_history WHERE state = 'failed'")";

constexpr std::string_view kHistoryExportDetails =
    R"(Writes the tables of history to FILE, an SQLite database, while the head goes on.

  leat history export /tmp/history.db)";

constexpr std::string_view kHistoryPruneDetails =
    R"(Deletes history: jobs that ended before TIME with their runs, and events of nodes and
people before TIME. Afterwards those jobs are not known any more, nor where their
output is. Jobs that have not ended lose nothing.

  leat history prune --before 90d)";

}  // namespace

const CommandEntry kHistorySql{"history sql", "ask history with SQL", kHistorySqlDetails,
                               build_command<HistorySql>};
const CommandEntry kHistoryExport{"history export", "copy history to a file", kHistoryExportDetails,
                                  build_command<HistoryExport>};
const CommandEntry kHistoryPrune{"history prune", "delete old history", kHistoryPruneDetails,
                                 build_command<HistoryPrune>};

}  // namespace leat::cli
