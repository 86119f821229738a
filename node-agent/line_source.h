#pragma once

// line_source.h - the lines that tasks are made of, for many tasks in one read from leat-store.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "node-agent/input_file.h"
#include "node-agent/messages.h"
#include "node-agent/peer_links.h"
#include "schema/data.capnp.h"

namespace leat::agent {

// What is read at once for several tasks; one task with more than that is read by itself.
inline constexpr std::uint64_t kLineBytesAtOnce = 4u << 20;
// Entries of the table of offsets that are read at least.
inline constexpr std::uint64_t kOffsetsAtOnce = 512;

// Where leat-store is.
struct StoreAddress {
  std::string address;
  std::string server_name;
};

// A task whose lines are wanted.
struct LineTask {
  RunId run;
  std::uint64_t position = 0;
};

// One task's input is ready, or cannot be had. `line` is its content if the task has one line.
using OnLines = std::function<void(const RunId& run, Result<Done> done, const std::string* line)>;

// Borrows links and timer. Thread: the loop's.
class LineSource {
 public:
  LineSource(PeerLinks& links, kj::Timer& timer, std::string node_directory)
      : links_(links), timer_(timer), directory_(std::move(node_directory)) {}

  void set_store(StoreAddress store) { store_ = std::move(store); }

  // Writes the input file of each task (input_path) and calls `on_lines` once for each. `tasks`
  // must be in order of position. Resolves when all are answered; never rejects.
  kj::Promise<void> fetch(StageRef stage, std::shared_ptr<const StageSpec> spec, std::string ticket,
                          std::vector<LineTask> tasks, OnLines on_lines);
  void forget(JobId job);

 private:
  // A piece of a stage's table of offsets.
  struct Window {
    std::uint64_t first = 0;
    std::vector<std::uint64_t> offsets;

    bool holds(std::uint64_t from, std::uint64_t to) const {
      return from >= first && to < first + offsets.size();
    }
  };
  struct Order;  // one call of fetch()
  using OrderPtr = std::shared_ptr<Order>;

  kj::Promise<void> go_on(const OrderPtr& order);
  kj::Promise<Result<Done>> load_next(const OrderPtr& order);
  kj::Promise<Result<Done>> load_offsets(const OrderPtr& order, std::uint64_t from);
  kj::Promise<Result<Done>> load_lines(const OrderPtr& order, std::size_t count);
  kj::Promise<Result<Done>> load_large(const OrderPtr& order);
  Result<Done> write_file(const RunId& run, std::string_view text);
  void write_task(Order& order, const LineTask& task, std::string_view text);

  PeerLinks& links_;
  kj::Timer& timer_;
  std::string directory_;
  StoreAddress store_;
  std::map<StageRef, Window> windows_;
};

}  // namespace leat::agent
