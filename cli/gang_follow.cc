#include "cli/gang_follow.h"

#include <algorithm>
#include <utility>

namespace leat::cli {
namespace {

using Step = MemberOutput::Step;

enum class State : std::uint8_t {
  kToFind,
  kUnderWay,  // a read, or a pause
  kAnswered,
  kNotYet,
  kDone,
};

}  // namespace

struct GangFollow::Member {
  Member(Shell& shell, Head& head, const OutputWanted& wanted, spool::RankFrameReader reader)
      : number(wanted.member),
        output(shell, head),
        frames(std::move(reader)),
        backoff(Random(shell.surroundings.fresh_seed + wanted.member)),
        give_up(shell.io.provider->getTimer().now() + transport::to_kj(kAgentPatience)) {
    output.begin(wanted);
  }

  std::uint32_t number;
  MemberOutput output;
  spool::RankFrameReader frames;
  transport::Backoff backoff;
  kj::TimePoint give_up;
  State state = State::kToFind;
  kj::Maybe<MemberOutput::Answer> answer;
  kj::Promise<void> under_way = nullptr;  // last: it sets the others
};

GangFollow::GangFollow(Shell& shell, Head& head, const OutputWanted& wanted, std::uint32_t members,
                       OnRecord on_record)
    : shell_(shell), changes_(shell, head), wanted_(wanted), on_record_(std::move(on_record)) {
  if (members > kFollowedMembersMax)
    fail(ExitCode::kUsage, "-f follows gangs of at most " + std::to_string(kFollowedMembersMax) +
                               " nodes, this one has " + std::to_string(members) +
                               ": leave -f out for what there is");
  for (std::uint32_t member = 0; member < members; ++member) {
    OutputWanted one = wanted;
    one.member = member;
    members_.push_back(std::make_unique<Member>(shell, head, one, reader_of(member)));
  }
}

GangFollow::~GangFollow() = default;

spool::RankFrameReader GangFollow::reader_of(std::uint32_t member) const {
  return spool::RankFrameReader([this, member](std::uint32_t frame, std::string_view content) {
    on_record_(member, frame, content);
  });
}

OutputFound GangFollow::run() {
  const auto any = [this](State state) {
    return std::any_of(members_.begin(), members_.end(),
                       [state](const auto& member) { return member->state == state; });
  };
  for (;;) {
    // Whatever comes from here on, be it while a member is stepped, ends the wait below.
    kj::PromiseFulfillerPair<void> news = kj::newPromiseAndFulfiller<void>();
    news_ = kj::mv(news.fulfiller);
    for (const auto& member : members_) step(*member);
    if (any(State::kToFind)) continue;
    if (any(State::kUnderWay) || any(State::kAnswered)) {
      news.promise.wait(shell_.io.waitScope);
    } else if (any(State::kNotYet)) {
      changes_.wait(wanted_.job);
      for (const auto& member : members_) {
        if (member->state != State::kNotYet) continue;
        member->state = State::kToFind;
        member->give_up = shell_.io.provider->getTimer().now() + transport::to_kj(kAgentPatience);
      }
    } else {
      return cut_ ? OutputFound::kCut : OutputFound::kWhole;
    }
  }
}

void GangFollow::step(Member& member) {
  try {
    if (member.state == State::kToFind) find(member);
    if (member.state == State::kAnswered) take(member);
  } catch (const Failure& failure) {
    if (failure.code != ExitCode::kWorkFailed) throw;
    shell_.console.talk("leat: " + failure.message);
    lost_some_ = true;
    member.state = State::kDone;
  }
}

void GangFollow::find(Member& member) {
  if (member.output.find() == Step::kNotYet) {
    member.state = State::kNotYet;
    return;
  }
  const std::uint32_t attempt = member.output.attempt();
  if (attempt_ != 0 && attempt != attempt_) start_over(member);
  attempt_ = attempt;
  if (!member.output.connect()) return go_away(member);
  ask(member);
}

// Any member's new attempt is that of all.
void GangFollow::start_over(const Member& but) {
  for (const auto& member : members_) {
    member->under_way = nullptr;
    member->answer = nullptr;
    member->frames = reader_of(member->number);
    if (member.get() == &but) continue;
    member->output.start_over();
    member->state = State::kToFind;
  }
}

void GangFollow::ask(Member& member) {
  member.state = State::kUnderWay;
  member.under_way = member.output.ask()
                         .then([this, &member](kj::Maybe<MemberOutput::Answer>&& answer) {
                           member.answer = kj::mv(answer);
                           member.state = State::kAnswered;
                           news_->fulfill();
                         })
                         .eagerlyEvaluate(nullptr);
}

void GangFollow::take(Member& member) {
  const kj::Maybe<MemberOutput::Answer> answer = kj::mv(member.answer);
  const Step step =
      member.output.take(answer, [&member](std::string_view bytes) { member.frames.feed(bytes); });
  if (step == Step::kAway) return go_away(member);
  member.backoff.reset();
  member.give_up = shell_.io.provider->getTimer().now() + transport::to_kj(kAgentPatience);
  if (step == Step::kMore) return ask(member);
  member.frames.finish();
  cut_ = cut_ || member.output.is_truncated();
  member.state = State::kDone;
}

// Nobody answers: the head is asked again where it is, a little later.
void GangFollow::go_away(Member& member) {
  kj::Timer& timer = shell_.io.provider->getTimer();
  if (timer.now() >= member.give_up)
    fail(ExitCode::kUnreachable,
         "node " + std::to_string(member.output.node()) + " does not answer: see leat node list");
  member.state = State::kUnderWay;
  member.under_way = timer.afterDelay(transport::to_kj(member.backoff.next()))
                         .then([this, &member] {
                           member.state = State::kToFind;
                           news_->fulfill();
                         })
                         .eagerlyEvaluate(nullptr);
}

}  // namespace leat::cli
