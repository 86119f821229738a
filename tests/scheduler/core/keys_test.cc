#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "scheduler/core/granted_wishes.h"
#include "tests/scheduler/core/pools_world.h"

// Law 1: repeating a call with its key returns the first answer.

namespace leat::core {
namespace {

// A world in which every wish can be granted.
struct Keyed : Pools {
  Keyed() : nodes(grow_and_arrive(elastic(2, 2))), job(submit(sweep(4))) {}

  // What the same command comes to once more: `facts` are not applied.
  Result<Answer> again(const Command& command, Facts& facts) const {
    return decide(state, command, now, facts);
  }

  std::vector<NodeRef> nodes;
  JobId job;
};

struct Row {
  const char* name;
  std::function<Command(const Keyed&, std::string)> wish;
  std::function<std::vector<Command>(const Keyed&)> undo;  // by somebody else
};

std::vector<Row> rows() {
  const auto none = [](const Keyed&) { return std::vector<Command>(); };
  return {
      {"hold",
       [](const Keyed& w, std::string k) {
         return HoldJob{k, {}, w.job};
       },
       [](const Keyed& w) {
         return std::vector<Command>{ReleaseJob{{}, {}, w.job}};
       }},
      {"release",
       [](const Keyed& w, std::string k) {
         return ReleaseJob{k, {}, w.job};
       },
       [](const Keyed& w) {
         return std::vector<Command>{HoldJob{{}, {}, w.job}};
       }},
      {"set job",
       [](const Keyed& w, std::string k) {
         return SetJob{k, {}, w.job, 7, {}};
       },
       [](const Keyed& w) {
         return std::vector<Command>{SetJob{{}, {}, w.job, 1, {}}};
       }},
      {"cancel",
       [](const Keyed& w, std::string k) {
         return Cancel{k, {}, w.job, 0, {}};
       },
       none},
      {"cancel a task",
       [](const Keyed& w, std::string k) {
         return Cancel{k, {}, w.job, 0, IndexList(Stride{1, 1, 1})};
       },
       none},
      {"drain",
       [](const Keyed& w, std::string k) {
         return DrainNode{k, {}, w.nodes[0].id};
       },
       [](const Keyed& w) {
         return std::vector<Command>{ResumeNode{{}, {}, w.nodes[0].id}};
       }},
      {"resume",
       [](const Keyed& w, std::string k) {
         return ResumeNode{k, {}, w.nodes[0].id};
       },
       [](const Keyed& w) {
         return std::vector<Command>{DrainNode{{}, {}, w.nodes[0].id}};
       }},
      {"remove",
       [](const Keyed& w, std::string k) {
         return RemoveNode{k, {}, w.nodes[1].id};
       },
       [](const Keyed& w) {
         return std::vector<Command>{Tick{}, ProveGone{w.nodes[1], "it is gone"}};
       }},
      {"resize",
       [](const Keyed&, std::string k) {
         return ChangePool{k, {}, "p", 1u, 1u, {}, {}, {Running::kComplete, {}}};
       },
       [](const Keyed&) {
         return std::vector<Command>{ChangePool{{}, {}, "p", 2u, 2u, {}, {}, {}}};
       }},
      {"create",
       [](const Keyed&, std::string k) {
         return SetPool{k, {}, PoolSpec{"q", "local", 1, std::nullopt, {}}};
       },
       [](const Keyed&) {
         return std::vector<Command>{DeletePool{{}, {}, "q", {}}, Tick{}};
       }},
      {"pause",
       [](const Keyed&, std::string k) {
         return PausePool{k, {}, "p", "why"};
       },
       [](const Keyed&) {
         return std::vector<Command>{ChangePool{{}, {}, "p", {}, {}, {}, {}, {}}};
       }},
      {"delete",
       [](const Keyed&, std::string k) {
         return DeletePool{k, {}, "p", {Running::kComplete, {}}};
       },
       none},
      {"submit",
       [](const Keyed&, std::string k) {
         return Submit{k, {}, sweep(2)};
       },
       none},
  };
}

TEST(Keys, GiveTheFirstAnswerAndNoFactWhateverHasBecomeOfTheWish) {
  for (const Row& row : rows()) {
    Keyed w;
    const Command wish = row.wish(w, "mine");
    const Answer first = w.must(wish);
    for (const Command& command : row.undo(w)) w.must(command);
    w.now = w.now + Duration(1'000'000);
    Facts facts;
    const Result<Answer> again = w.again(wish, facts);
    ASSERT_TRUE(again.ok()) << row.name << ": " << again.refusal().message;
    EXPECT_EQ(again.value(), first) << row.name;
    EXPECT_TRUE(facts.empty()) << row.name;
    w.check_replay();
  }
}

TEST(Keys, HoldForAWishThatChangedNothing) {
  Keyed w;
  w.must(HoldJob{{}, {}, w.job});
  w.must(HoldJob{"mine", {}, w.job});  // is held already
  w.must(ReleaseJob{{}, {}, w.job});
  w.must(HoldJob{"mine", {}, w.job});
  EXPECT_EQ(w.job_state(w.job), JobState::kWaiting);
  w.must(HoldJob{"another", {}, w.job});
  EXPECT_EQ(w.job_state(w.job), JobState::kHeld);
}

TEST(Keys, AreKeptWithWhoAskedForWhat) {
  Keyed w;
  const Principal actor{1000, "host", ""};
  w.must(SetJob{"mine", actor, w.job, 7, {}});
  const auto* granted = std::get_if<WishGranted>(&w.log.back().first);
  ASSERT_NE(granted, nullptr);
  EXPECT_EQ(*granted, (WishGranted{WishKind::kSetJob, "mine", actor, Done{}}));
}

TEST(Keys, AreForOneKindOfWishEach) {
  Keyed w;
  w.must(HoldJob{"mine", {}, w.job});
  w.must(ReleaseJob{"mine", {}, w.job});
  EXPECT_EQ(w.job_state(w.job), JobState::kWaiting);
  const JobId second = w.submit(sweep(1), "mine");
  EXPECT_NE(second, w.job);
  EXPECT_EQ(w.submit(sweep(9), "mine"), second);
}

TEST(Keys, OfRefusedWishesAreNotKept) {
  Keyed w;
  EXPECT_FALSE(w.say(HoldJob{"mine", {}, JobId{99}}).ok());
  w.must(HoldJob{"mine", {}, w.job});
  EXPECT_EQ(w.job_state(w.job), JobState::kHeld);
}

TEST(Keys, HaveOneByteAtLeastAndNotTooMany) {
  Keyed w;
  for (const std::string& key : {std::string(), std::string(kKeyBytesMax + 1, 'k')}) {
    Facts facts;
    for (const Row& row : rows()) {
      const Result<Answer> answer = w.again(row.wish(w, key), facts);
      ASSERT_FALSE(answer.ok()) << row.name;
      EXPECT_EQ(answer.refusal().reason, Reason::kInvalid) << row.name;
    }
    EXPECT_TRUE(facts.empty());
  }
  w.must(HoldJob{std::string(kKeyBytesMax, 'k'), {}, w.job});
}

TEST(Keys, EndAfterSevenDays) {
  Keyed w;
  w.must(HoldJob{"mine", {}, w.job});
  w.must(ReleaseJob{{}, {}, w.job});
  const Time said = w.now;
  w.now = said + (kKeyLife - Duration(1));
  w.must(HoldJob{"mine", {}, w.job});
  EXPECT_EQ(w.job_state(w.job), JobState::kWaiting);
  w.now = said + kKeyLife;
  w.must(HoldJob{"mine", {}, w.job});
  EXPECT_EQ(w.job_state(w.job), JobState::kHeld);
  // From now on this is the first answer.
  w.must(ReleaseJob{{}, {}, w.job});
  w.must(HoldJob{"mine", {}, w.job});
  EXPECT_EQ(w.job_state(w.job), JobState::kWaiting);
  w.check_replay();
}

TEST(Keys, OutliveTheSummaryOfTheirJob) {
  World w;
  w.node(4);
  const JobId first = w.submit(sweep(1), "first");
  w.drain();
  w.state.apply(JobForgotten{first}, w.now);
  ASSERT_EQ(w.state.job(first), nullptr);
  EXPECT_EQ(w.submit(sweep(1), "first"), first);
}

Granted granted(std::uint64_t n, Time at = {}) {
  return {WishKind::kHold, "key-" + std::to_string(n), at, Done{}};
}

TEST(GrantedWishes, ForgetTheOldestBeyondTheirBound) {
  GrantedWishes wishes;
  for (std::uint64_t n = 0; n < kKeysKept; ++n) wishes.add(granted(n));
  EXPECT_NE(wishes.find(WishKind::kHold, "key-0", {}), nullptr);
  wishes.add(granted(kKeysKept));
  EXPECT_EQ(wishes.size(), kKeysKept);
  EXPECT_EQ(wishes.find(WishKind::kHold, "key-0", {}), nullptr);
  EXPECT_NE(wishes.find(WishKind::kHold, "key-1", {}), nullptr);
}

TEST(GrantedWishes, PayForFewOfTheOldAtATime) {
  GrantedWishes wishes;
  for (std::uint64_t n = 0; n < 10; ++n) wishes.add(granted(n));
  const Time later = Time{} + kKeyLife;
  EXPECT_EQ(wishes.find(WishKind::kHold, "key-9", later), nullptr);
  for (std::uint64_t n = 10; n < 30; ++n) {
    const std::size_t before = wishes.size();
    wishes.add(granted(n, later));
    EXPECT_GE(wishes.size() + kKeysDroppedPerWish, before + 1);
  }
  EXPECT_EQ(wishes.first(), 10u);
  EXPECT_EQ(wishes.size(), 20u);
}

TEST(GrantedWishes, KnowTheNewestOfAKeyWhenTheOldOneGoes) {
  GrantedWishes wishes;
  wishes.add(granted(1));
  const Time later = Time{} + kKeyLife;
  wishes.add({WishKind::kHold, "key-1", later, NodeRef{NodeId{4}, NodeEpoch{2}}});
  EXPECT_EQ(wishes.size(), 1u);
  const Granted* found = wishes.find(WishKind::kHold, "key-1", later);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->answer, Answer(NodeRef{NodeId{4}, NodeEpoch{2}}));
}

TEST(GrantedWishes, AreRestoredInOrderOnly) {
  GrantedWishes wishes;
  EXPECT_TRUE(wishes.restore(70, granted(1)));
  EXPECT_TRUE(wishes.restore(71, granted(2)));
  EXPECT_FALSE(wishes.restore(73, granted(3)));
  EXPECT_EQ(wishes.first(), 70u);
  EXPECT_EQ(wishes.next(), 72u);
}

}  // namespace
}  // namespace leat::core
