#include "tests/sim/head.h"

#include <kj/debug.h>

#include <cstdio>

#include "base/check.h"
#include "scheduler/store/recovery.h"

namespace leat::sim {

void Head::taskFailed(kj::Exception&& exception) {
  std::fprintf(stderr, "sim: %s\n", kj::str(exception).cStr());
  LEAT_CHECK(!"a task of the head failed");
}

store::Recovered Head::recover(Disk& disk) {
  Result<store::Recovered> recovered = store::recover(disk);
  if (!recovered.ok()) std::fprintf(stderr, "sim: %s\n", recovered.refusal().message.c_str());
  LEAT_CHECK(recovered.ok());
  recovered.value().state->check_invariants();
  return std::move(recovered).value();
}

Head::Head(Events& events, Disk& disk, const transport::TicketSigner& signer, Time not_before)
    : events_(events),
      sink_(*this),
      engine_(recover(disk), disk, sink_),
      tickets_(signer, [] { return transport::WallSeconds{1'700'000'000}; }),
      links_(engine::LinkServices{engine_, events.timer(), tickets_, [](std::string_view) {}}),
      loop_(
          engine_, events.timer(), [&events] { return events.now(); },
          [this](const core::Withdrawal& withdrawal) { links_.withdraw(withdrawal); }),
      tasks_(*this) {
  LEAT_CHECK(engine_.last() <= not_before);
  tasks_.add(loop_.run());
  ask(core::StartHead{1'700'000'000'000'000 + events.now().us(), "sim"},
      [this](const Result<core::Answer>& answer) {
        LEAT_CHECK(answer.ok());
        ready_ = true;
      });
}

void Head::ask(core::Command command, std::function<void(const Result<core::Answer>&)> then) {
  tasks_.add(
      engine_.post(std::move(command)).then([then = std::move(then)](Result<core::Answer> answer) {
        then(answer);
      }));
}

}  // namespace leat::sim
