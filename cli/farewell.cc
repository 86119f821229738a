#include "cli/farewell.h"

#include "cli/failure.h"
#include "definitions/units.h"

namespace leat::cli {

void FarewellOptions::declare(Arguments& arguments) {
  arguments.flag("--wait", wait_, "what runs there is let complete");
  arguments.flag("--requeue", requeue_,
                 "what runs there is ended and runs again elsewhere; costs no retry");
  arguments.option("--within", "TIME", within_text_,
                   "with --requeue: let it go on so long before it is ended (default: 0s)");
}

void FarewellOptions::check() {
  if (wait_ && requeue_)
    fail(ExitCode::kUsage, "--wait and --requeue: give one of them, what runs cannot do both");
  if (!within_text_) return;
  if (!requeue_) fail(ExitCode::kUsage, "--within: give --requeue too, it says when");
  within_ = value_or_fail(definitions::parse_duration(*within_text_), "--within ");
}

void FarewellOptions::ask_with(Console& console, const std::string& kept,
                               const std::function<std::optional<Refusal>()>& ask) {
  std::optional<Refusal> refused = ask();
  if (refused && refused->reason == Reason::kConflict && !wait_ && !requeue_) {
    choose(console, refused->message, kept);
    refused = ask();
  }
  if (refused) fail(*refused);
}

void FarewellOptions::choose(Console& console, const std::string& why, const std::string& kept) {
  // The head's line ends with the options, which are not what is asked for here.
  const std::optional<std::string> said =
      console.ask(why.substr(0, why.find(": say --wait")) +
                  ": let it complete (w), run it again elsewhere (r), or change nothing? ");
  if (!said) fail(ExitCode::kRefused, why);
  if (*said == "w" || *said == "wait") {
    wait_ = true;
  } else if (*said == "r" || *said == "requeue") {
    requeue_ = true;
  } else {
    fail(ExitCode::kRefused, kept);
  }
}

void FarewellOptions::fill(schema::Farewell::Running otherwise,
                           schema::Farewell::Builder to) const {
  using Running = schema::Farewell::Running;
  to.setRunning(requeue_ ? Running::REQUEUE : wait_ ? Running::COMPLETE : otherwise);
  to.setWithinUs(within_.count());
}

}  // namespace leat::cli
