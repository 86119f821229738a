#include "tests/sim/head.h"

#include <kj/debug.h>

#include <cstdio>

#include "base/check.h"
#include "scheduler/store/recovery.h"
#include "tests/transport/support.h"

namespace leat::sim {

namespace {

transport::Secret secret_from(Random& random) {
  transport::Secret secret{};
  for (std::byte& byte : secret) byte = static_cast<std::byte>(random.next() & 0xff);
  return secret;
}

engine::PoolSite site() {
  // The provider of the simulation does not look into tokens; they have to be whole all the same.
  static const transport::Cluster cluster;
  return {.provider = "local",
          .cluster_id = cluster.id,
          .agent_address = "127.0.0.1:1",
          .enrol_address = "127.0.0.1:2",
          .authority_der = cluster.authority.certificate_der(),
          .mock = false};
}

}  // namespace

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

Head::Head(Events& events, Disk& disk, const transport::TicketSigner& signer,
           pools::Provider& provider, Random& random)
    : events_(events),
      sink_(*this),
      engine_(recover(disk), disk, sink_),
      tickets_(signer, [] { return transport::WallSeconds{1'700'000'000}; }),
      links_(engine::LinkServices{engine_, events.timer(), tickets_, [](std::string_view) {}}),
      nodes_(provider, [this](NodeRef node) { return links_.evacuate(node); }),
      pools_(
          engine::PoolServices{engine_, nodes_, events.timer(), [&events] { return events.now(); },
                               [] { return transport::WallSeconds{1'700'000'000}; },
                               [&random] { return secret_from(random); }, [](std::string_view) {}},
          site()),
      loop_(
          engine_, events.timer(), [&events] { return events.now(); },
          [this](const core::Withdrawal& withdrawal) { links_.withdraw(withdrawal); }),
      tasks_(*this) {
  LEAT_CHECK(engine_.last() <= events.now());
  tasks_.add(loop_.run());
  ask(core::StartHead{1'700'000'000'000'000 + events.now().us(), "sim"},
      [this](const Result<core::Answer>& answer) {
        LEAT_CHECK(answer.ok());
        ready_ = true;
        pools_.start();
      });
}

void Head::ask(core::Command command, std::function<void(const Result<core::Answer>&)> then) {
  tasks_.add(
      engine_.post(std::move(command)).then([then = std::move(then)](Result<core::Answer> answer) {
        then(answer);
      }));
}

}  // namespace leat::sim
