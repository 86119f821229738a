#pragma once

// pool_options.h - a pool described by a file or by options, as commands take it.

#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/command.h"
#include "definitions/pool_definition.h"

namespace leat::cli {

// The pool in the file at `path`, relative to the caller's directory; what a local pool leaves
// out is taken from this machine. Throws Failure.
definitions::PoolDefinition load_pool_file(const std::string& path,
                                           const Surroundings& surroundings);

// The options that say what a file says.
class PoolOptions {
 public:
  void declare(Arguments& arguments);

  // Whether any of them was given.
  bool given() const;

  // Throws Failure, which names the option that is wrong or missing.
  definitions::PoolDefinition read() const;

 private:
  std::optional<std::string> name_, provider_, nodes_, min_, max_, idle_timeout_, join_deadline_,
      cores_, memory_, gpus_, tasks_per_node_;
  std::vector<std::string> labels_, counters_;
};

}  // namespace leat::cli
