#include "cli/top_view.h"

#include <algorithm>
#include <cmath>

#include "cli/cluster_view.h"
#include "cli/console.h"
#include "cli/render.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

// Jobs of the page without a size (--once).
constexpr std::size_t kHeaderLines = 2;

std::string number(std::uint64_t n) {
  return std::to_string(n);
}

// Cut to `columns` characters; counts whole UTF-8 characters.
std::string cut(const std::string& line, std::size_t columns) {
  std::size_t shown = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if ((line[at] & 0xc0) == 0x80) continue;
    if (shown++ == columns) return line.substr(0, at);
  }
  return line;
}

std::uint64_t done_of(const JobView& job) {
  std::uint64_t done = 0;
  for (const TaskCounts& stage : job.stages) done += stage.done();
  return job.stages.empty() ? job.counts.done() : done;
}

std::uint64_t total_of(const JobView& job) {
  std::uint64_t total = 0;
  for (const TaskCounts& stage : job.stages) total += stage.total;
  return job.stages.empty() ? job.counts.total : total;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

HeatCell heat_cell(const std::string& state, std::uint16_t busy_permille) {
  constexpr int kRed = 31;
  constexpr int kGreen = 32;
  constexpr int kYellow = 33;
  constexpr int kBlue = 34;
  constexpr int kGrey = 90;
  if (state == "lost" || state == "gone") return {"!", kRed};
  if (state == "requested" || state == "enrolled") return {"+", kBlue};
  if (state != "up") return {"x", kYellow};  // closed to new work, one way or another
  if (busy_permille == 0) return {"·", kGrey};
  if (busy_permille < 334) return {"░", kGreen};
  if (busy_permille < 667) return {"▒", kGreen};
  return busy_permille < 1'000 ? HeatCell{"▓", kGreen} : HeatCell{"█", kGreen};
}

void TopModel::observe(schema::Overview::Reader overview, Duration now) {
  cursor_ = overview.getCursor();
  now_us_ = overview.getNowUs();
  notice_.clear();
  pools_.clear();
  for (const schema::PoolSummary::Reader pool : overview.getPools())
    pools_.emplace_back(pool_row(pool));
  cells_.clear();
  for (const schema::Overview::Cell::Reader cell : overview.getNodes())
    cells_.push_back({cell.getNode(), cell.getPool(), read_text(cell.getState()),
                      cell.getBusyPermille(), cell.getRunning(), cell.getQueued()});
  nodes_left_out_ = overview.getNodesLeftOut();
  jobs_.clear();
  std::map<std::uint64_t, ProgressMeter> meters;
  for (const schema::JobSummary::Reader job : overview.getJobs()) {
    jobs_.push_back(read_job(job));
    ProgressMeter& meter = meters[jobs_.back().id];
    const auto known = meters_.find(jobs_.back().id);
    if (known != meters_.end()) meter = known->second;
    meter.observe(jobs_.back(), now);
  }
  meters_ = std::move(meters);
  jobs_active_ = overview.getJobsActive();
  counts_ = read_counts(overview.getCounts());
}

double TopModel::rate_of(const JobView& job) const {
  const auto meter = meters_.find(job.id);
  if (meter != meters_.end())
    if (const auto lately = meter->second.rate()) return *lately;
  const std::int64_t elapsed_us = job.elapsed_us(now_us_);
  if (elapsed_us <= 0) return 0;
  return static_cast<double>(done_of(job)) * 1e6 / static_cast<double>(elapsed_us);
}

std::optional<Duration> TopModel::eta_of(const JobView& job) const {
  const double per_s = rate_of(job);
  const std::uint64_t total = total_of(job);
  const std::uint64_t done = done_of(job);
  if (per_s <= 0 || done > total) return std::nullopt;
  const double seconds = std::ceil(static_cast<double>(total - done) / per_s);
  if (seconds > 1e9) return std::nullopt;
  return Duration(static_cast<std::int64_t>(seconds) * 1'000'000);
}

std::string TopModel::summary_line() const {
  if (!notice_.empty()) return "leat  " + notice_;
  return "leat  " + render_cell(Value(now_us_), Form::kTime) + "   " + number(jobs_active_) +
         (jobs_active_ == 1 ? " job, " : " jobs, ") + number(counts_.running) + " tasks running, " +
         number(counts_.waiting) + " waiting";
}

void TopModel::add_heat_map(std::vector<std::string>& lines, std::uint32_t pool, ScreenSize size,
                            bool colours) const {
  constexpr std::size_t kIndent = 2;
  const std::size_t width = size.columns > kIndent ? size.columns - kIndent : 1;
  std::string line;
  std::size_t shown = 0;
  int colour = 0;
  for (const Cell& cell : cells_) {
    if (cell.pool != pool) continue;
    if (shown % width == 0) {
      if (shown > 0) lines.push_back(line);
      line = std::string(kIndent, ' ');
      colour = 0;
    }
    const HeatCell heat = heat_cell(cell.state, cell.busy_permille);
    if (colours && heat.colour != colour) line += "\033[" + std::to_string(heat.colour) + 'm';
    colour = heat.colour;
    line += heat.text;
    ++shown;
  }
  if (shown > 0) lines.push_back(line);
}

void TopModel::add_pools(std::vector<std::string>& lines, ScreenSize size, bool colours) const {
  for (const Value& pool : pools_) {
    const auto field = [&pool](const char* name) {
      return render_cell(pool.at(name), Form::kNumber);
    };
    lines.push_back(cut("pool " + field("name") + "  " + field("state") + "  " + field("nodes_up") +
                            " nodes up, " + field("nodes_coming") + " coming, " +
                            field("nodes_lost") + " lost",
                        size.columns));
    const auto* const id = std::get_if<std::uint64_t>(&pool.at("id").kind());
    if (id != nullptr) add_heat_map(lines, static_cast<std::uint32_t>(*id), size, colours);
  }
  if (nodes_left_out_ > 0) lines.push_back("  and " + number(nodes_left_out_) + " more nodes");
}

Value::List TopModel::job_rows() const {
  Value::List rows;
  for (const JobView& job : jobs_) {
    const std::uint64_t total = total_of(job);
    const std::optional<Duration> eta = eta_of(job);
    rows.emplace_back(
        Value::Object{{"id", job.id},
                      {"name", job.name},
                      {"state", job_state_name(job.state)},
                      {"running", job.counts.running},
                      {"done", number(done_of(job)) + '/' + number(total)},
                      {"percent", number(total == 0 ? 0 : done_of(job) * 100 / total) + '%'},
                      {"rate", show_rate(rate_of(job))},
                      {"eta", eta ? definitions::show_duration(*eta) : ""},
                      {"failed", job.counts.failed + job.counts.quarantined}});
  }
  return rows;
}

std::string TopModel::page(ScreenSize size, bool colours) const {
  std::vector<std::string> lines{cut(summary_line(), size.columns), ""};
  add_pools(lines, size, colours);
  // A large map leaves at least half of the page to the jobs.
  const std::size_t most = std::max(kHeaderLines + 1, size.rows / 2);
  if (lines.size() > most) {
    lines.resize(most - 1);
    lines.emplace_back("  …");
  }
  lines.emplace_back();
  const std::string table = render_table({{"id", "JOB", Form::kNumber},
                                          {"name", "NAME"},
                                          {"state", "STATE"},
                                          {"running", "RUNNING", Form::kNumber},
                                          {"done", "DONE"},
                                          {"percent", "%"},
                                          {"rate", "RATE"},
                                          {"eta", "ETA"},
                                          {"failed", "FAILED", Form::kNumber}},
                                         job_rows());
  for (const std::string& line : lines_of(table)) lines.push_back(cut(line, size.columns));
  if (jobs_active_ > jobs_.size())
    lines.push_back("and " + number(jobs_active_ - jobs_.size()) + " more jobs");
  if (lines.size() > size.rows) lines.resize(size.rows);
  std::string page;
  for (const std::string& line : lines) page += line + '\n';
  return page;
}

Value TopModel::job_document(const JobView& job) const {
  Value::Object row = job_row(job, now_us_);
  row.push_back({"rate_per_s", rate_of(job)});
  const std::optional<Duration> eta = eta_of(job);
  row.push_back({"eta_us", eta ? Value(std::int64_t{eta->count()}) : Value()});
  return Value(std::move(row));
}

Value::Object TopModel::document() const {
  Value::List nodes;
  for (const Cell& cell : cells_)
    nodes.emplace_back(Value::Object{{"id", cell.node},
                                     {"pool", cell.pool},
                                     {"state", cell.state},
                                     {"busy_permille", std::uint64_t{cell.busy_permille}},
                                     {"running", cell.running},
                                     {"queued", cell.queued}});
  Value::List jobs;
  for (const JobView& job : jobs_) jobs.push_back(job_document(job));
  return {{"cursor", cursor_},
          {"now_us", now_us_},
          {"pools", pools_},
          {"nodes", std::move(nodes)},
          {"nodes_left_out", nodes_left_out_},
          {"jobs", std::move(jobs)},
          {"jobs_active", jobs_active_},
          {"counts", counts_row(counts_)}};
}

}  // namespace leat::cli
