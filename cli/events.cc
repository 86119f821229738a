// events.cc - `leat events`: what has happened, and what happens.

#include "cli/command.h"
#include "cli/event_view.h"
#include "cli/follow.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

using EventsResponse = capnp::Response<schema::EventsResult>;

class Events final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("-f,--follow", follow_, "go on with what happens from now on");
    arguments.option("--since", "CURSOR", since_,
                     "only what came after CURSOR, as shown with an event; now: nothing past");
    arguments.option("--job", "JOB", job_name_, "only what concerns this job");
    arguments.flag("--json", json_, "machine-readable output, a line for each event");
  }

  ExitCode run(Shell& shell) override {
    if (since_ && *since_ != "now") cursor_ = value_or_fail(parse_cursor(*since_), "--since ");
    std::optional<TaskName> name;
    if (job_name_) name = value_or_fail(parse_job(*job_name_));
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    if (name) job_ = resolve_job(head, *name).value;
    if (since_ && *since_ == "now") cursor_ = newest(head);
    while (read_some(shell, head)) {
    }
    return ExitCode::kDone;
  }

 private:
  static EventCursor newest(Head& head) {
    const auto answer =
        head.ask([](schema::Scheduler::Client& client) { return client.statusRequest().send(); });
    return {answer.getStatus().getStoreSequence() + 1, 0};
  }

  // False when there is nothing more to show.
  bool read_some(Shell& shell, Head& head) {
    kj::Timer& timer = shell.io.provider->getTimer();
    const Patience patience{follow_ ? kHeadAwayMax : Duration(0), {}};
    const kj::Maybe<EventsResponse> response = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto request = client.eventsRequest();
          request.initCursor().setTurn(cursor_.turn);
          request.getCursor().setFact(cursor_.fact);
          request.setJob(job_);
          request.setWait(follow_);
          kj::Promise<kj::Maybe<EventsResponse>> answer = request.send().then(
              [](EventsResponse&& page) -> kj::Maybe<EventsResponse> { return kj::mv(page); });
          return answer.exclusiveJoin(timer.afterDelay(kQuietMax).then(
              []() -> kj::Maybe<EventsResponse> { return nullptr; }));
        },
        patience);
    KJ_IF_MAYBE (found, response) {
      const schema::EventsResult::Reader result = *found;
      if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
      return show(shell.console, result.getPage());
    }
    return true;
  }

  bool show(Console& console, schema::EventsResult::Page::Reader page) {
    const std::uint64_t lost = page.getLostTurns();
    const bool told = page.getEvents().size() > 0 || lost > 0;
    std::string text;
    if (lost > 0) {
      const EventCursor next = read_cursor(page.getNext());
      text += json_ ? json_document(gap_row(lost, next)) : gap_line(lost) + '\n';
    }
    bool over = false;
    for (const schema::Event::Reader event : page.getEvents()) {
      text += json_ ? json_document(event_row(event)) : printable(event_line(event)) + '\n';
      over = over || (job_ != 0 && read_text(event.getKind()) == "job-ended");
    }
    cursor_ = read_cursor(page.getNext());
    if (!text.empty()) console.out(text);
    return follow_ ? !over : told;
  }

  bool follow_ = false;
  bool json_ = false;
  std::optional<std::string> since_, job_name_;
  std::uint64_t job_ = 0;
  EventCursor cursor_;
};

constexpr std::string_view kEventsDetails =
    R"(Shows what has happened to jobs, nodes and pools, as far back as the head keeps it,
a line for each event: when, a cursor, what, and to whom. A cursor says where to go
on later, also after a restart of the head. What is no longer kept is shown as a
gap. With --follow and --job it returns when the job has ended.

  leat events -f
  leat events --since 1234.5 --json
  leat events --follow --job last)";

}  // namespace

const CommandEntry kEvents{"events", "show what happens", kEventsDetails, build_command<Events>};

}  // namespace leat::cli
