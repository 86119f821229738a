#include "node-agent/mock_runner.h"

#include <kj/debug.h>

#include <utility>

namespace leat::agent {

void MockRunner::start(const RunOrder& order) {
  started_.push_back(order.launch.run);
  if (started_.size() == 1) tasks_.add(kj::evalLater([this]() { answer(); }));
}

void MockRunner::answer() {
  for (const RunId& run : std::exchange(started_, {})) {
    RunEnd end;
    end.run = run;
    end.has_place = true;
    events_.on_run_end(end);
  }
}

void MockRunner::taskFailed(kj::Exception&& exception) {
  kj::throwFatalException(kj::mv(exception));
}

}  // namespace leat::agent
