#pragma once

// farewell.h - what becomes of tasks on nodes that are to go, as options say it.

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "cli/arguments.h"
#include "cli/console.h"
#include "schema/scheduler.capnp.h"

namespace leat::cli {

// The options --wait, --requeue and --within of commands that let nodes go.
class FarewellOptions {
 public:
  void declare(Arguments& arguments);

  // Throws Failure for options that contradict each other.
  void check();

  // Calls `ask`, which answers with the head's refusal if there is one. If that is for work that
  // runs, and neither --wait nor --requeue was given, whoever sits at the terminal is asked which
  // of them it is to be, and `ask` is called again. Throws Failure; `kept` says what then stays.
  void ask_with(Console& console, const std::string& kept,
                const std::function<std::optional<Refusal>()>& ask);

  // Without --wait and --requeue: `otherwise`.
  void fill(schema::Farewell::Running otherwise, schema::Farewell::Builder to) const;

 private:
  void choose(Console& console, const std::string& why, const std::string& kept);

  bool wait_ = false;
  bool requeue_ = false;
  std::optional<std::string> within_text_;
  Duration within_{0};
};

}  // namespace leat::cli
