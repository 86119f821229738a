#pragma once

// top_view.h - the cluster on one page: pools, nodes as a heat map, jobs with rate and ETA.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/job_view.h"
#include "cli/progress.h"
#include "cli/screen.h"
#include "cli/value.h"
#include "schema/scheduler.capnp.h"

namespace leat::cli {

// What has been heard of the cluster so far. Pure: instants are passed in.
class TopModel {
 public:
  // `now` is any steady clock's.
  void observe(schema::Overview::Reader overview, Duration now);

  std::uint64_t cursor() const { return cursor_; }
  // A line to show at the top, while the head is away; empty: it is there.
  void set_notice(std::string notice) { notice_ = std::move(notice); }

  // A page of at most so many lines and columns, with colours by escape sequences if asked for.
  std::string page(ScreenSize size, bool colours) const;

  // The same for programs.
  Value::Object document() const;

 private:
  struct Cell {
    std::uint32_t node = 0;
    std::uint32_t pool = 0;
    std::string state;
    std::uint16_t busy_permille = 0;
    std::uint64_t running = 0;
    std::uint64_t queued = 0;
  };

  std::string summary_line() const;
  void add_pools(std::vector<std::string>& lines, ScreenSize size, bool colours) const;
  void add_heat_map(std::vector<std::string>& lines, std::uint32_t pool, ScreenSize size,
                    bool colours) const;
  Value job_document(const JobView& job) const;
  Value::List job_rows() const;
  // Ended tasks a second: lately, or else since the job started.
  double rate_of(const JobView& job) const;
  std::optional<Duration> eta_of(const JobView& job) const;

  std::uint64_t cursor_ = 0;
  std::int64_t now_us_ = 0;
  std::string notice_;
  Value::List pools_;
  std::vector<Cell> cells_;
  std::uint32_t nodes_left_out_ = 0;
  std::vector<JobView> jobs_;
  std::uint64_t jobs_active_ = 0;
  TaskCounts counts_;
  std::map<std::uint64_t, ProgressMeter> meters_;
};

// One node of the heat map: a character, and its colour (an SGR number).
struct HeatCell {
  const char* text = "?";
  int colour = 0;
};
HeatCell heat_cell(const std::string& state, std::uint16_t busy_permille);

}  // namespace leat::cli
