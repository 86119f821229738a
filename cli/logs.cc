// logs.cc - `leat logs`: what a task wrote, read from its node.

#include <algorithm>

#include "cli/command.h"
#include "cli/data_link.h"
#include "cli/follow.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

// An agent that is being restarted, or a head that is, is asked again for so long.
constexpr Duration kAgentPatience = std::chrono::seconds(20);
// The agent holds an answer back for 10 s while there is nothing new; longer is lost.
constexpr kj::Duration kReadDeadline = 30 * kj::SECONDS;

class Logs final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB.INDEX", name_, "one task: 17.42, last.0, or 17.1.3 in stage 1");
    arguments.flag("--stderr", error_, "standard error instead of standard output");
    arguments.flag("-f,--follow", follow_, "go on until the task ends");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_task(*name_));
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    DataLink link(shell);
    const JobId job = resolve_job(head, name);
    kj::Timer& timer = shell.io.provider->getTimer();
    transport::Backoff backoff{Random(shell.surroundings.fresh_seed)};
    kj::TimePoint give_up = timer.now() + transport::to_kj(kAgentPatience);
    for (;;) {
      const std::uint64_t before = offset_;
      if (read_from_node(shell, head, link, job, name)) break;
      if (offset_ > before) give_up = timer.now() + transport::to_kj(kAgentPatience);
      if (timer.now() >= give_up)
        fail(ExitCode::kUnreachable,
             "node " + std::to_string(node_) + " does not answer: see leat node list");
      timer.afterDelay(transport::to_kj(backoff.next())).wait(shell.io.waitScope);
    }
    if (truncated_) shell.console.talk("leat: the output was longer and has been cut at its limit");
    return ExitCode::kDone;
  }

 private:
  // Whether everything wanted has been written out; false if the node went away.
  bool read_from_node(Shell& shell, Head& head, DataLink& link, JobId job, const TaskName& name) {
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = client.locateRequest();
          call.setJob(job.value);
          call.setStage(name.stage);
          call.setIndex(name.indices.at(0));
          return call.send();
        },
        Patience{kAgentPatience, {}});
    const schema::LocateResult::Reader located = answer;
    if (located.isRefusal()) {
      const Refusal refusal = read_refusal(located.getRefusal());
      // Not a wrong question: what was asked for is not there any more.
      const bool lost = refusal.message.rfind("output lost", 0) == 0;
      fail(lost ? ExitCode::kWorkFailed : exit_code_of(refusal.reason), refusal.message);
    }
    const schema::LocateResult::Place::Reader place = located.getPlace();
    node_ = place.getNode().getId();
    start_over_if_new(shell.console, place.getRun().getAttempt());
    const NodeRef node{NodeId{node_}, NodeEpoch{place.getNode().getEpoch()}};
    kj::Maybe<schema::DataServer::Client> found = link.to_agent(node, place.getAddress().cStr());
    KJ_IF_MAYBE (agent, found) return read_all(shell, *agent, place);
    return false;
  }

  // Another attempt has another output: what was shown of the last one is not its beginning.
  void start_over_if_new(Console& console, std::uint32_t attempt) {
    if (attempt_ != 0 && attempt != attempt_) {
      console.talk("leat: the task was started again, as attempt " + std::to_string(attempt));
      offset_ = 0;
    }
    attempt_ = attempt;
  }

  // Whether everything wanted has been written out.
  bool read_all(Shell& shell, schema::DataServer::Client& agent,
                schema::LocateResult::Place::Reader place) {
    // A read of no bytes is answered at once, also where the next byte is yet to come.
    std::uint32_t length = follow_ ? schema::MAX_READ_BYTES : 0;
    for (;;) {
      auto call = agent.readRequest();
      call.setTicket(place.getTicket());
      call.setRun(place.getRun());
      call.setStream(error_ ? schema::Stream::ERROR : schema::Stream::OUTPUT);
      call.setOffset(offset_);
      call.setLength(length);
      kj::Maybe<capnp::Response<schema::ReadResult>> response;
      const kj::Maybe<kj::Exception> lost = kj::runCatchingExceptions([&] {
        kj::Promise<capnp::Response<schema::ReadResult>> answer = call.send();
        response = shell.io.provider->getTimer()
                       .timeoutAfter(kReadDeadline, kj::mv(answer))
                       .wait(shell.io.waitScope);
      });
      if (lost != nullptr) return false;
      const schema::ReadResult::Reader result = KJ_ASSERT_NONNULL(response);
      if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
      if (write_out(shell.console, result.getBytes())) return true;
      length = schema::MAX_READ_BYTES;
    }
  }

  // Whether that was the end.
  bool write_out(Console& console, schema::ReadResult::Bytes::Reader bytes) {
    const capnp::Data::Reader data = bytes.getData();
    console.out(std::string_view(data.asChars().begin(), data.size()));
    offset_ += data.size();
    truncated_ = bytes.getTruncated();
    return offset_ >= bytes.getTotal() && (bytes.getFinished() || !follow_);
  }

  std::optional<std::string> name_;
  bool error_ = false;
  bool follow_ = false;
  std::uint64_t offset_ = 0;
  std::uint32_t attempt_ = 0;
  std::uint32_t node_ = 0;
  bool truncated_ = false;
};

constexpr std::string_view kDetails =
    R"(Prints what a task wrote, byte for byte, read from the node it ran on; of a task
that ran several times, the last attempt's.

  leat logs 17.42
  leat logs last.0 --stderr -f)";

}  // namespace

const CommandEntry kLogs{"logs", "print what a task wrote", kDetails, build_command<Logs>};

}  // namespace leat::cli
