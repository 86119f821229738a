#include "mpi-tasks/hub.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

namespace leat::mpi {
namespace {

using Type = Message::Type;

const Layout& three_nodes() {
  static const Layout layout = Layout::make({{"a", {0, 1}}, {"b", {2}}, {"c", {3}}}).value();
  return layout;
}

Message of(Type type, Rank rank = 0) {
  Message message;
  message.type = type;
  message.rank = rank;
  return message;
}

// A message to one of them.
struct Out {
  NodeIndex to = 0;
  Message message;
};
using Outs = std::vector<Out>;

Outs one_by_one(const Hub::Outs& outs) {
  Outs result;
  for (const Hub::Out& out : outs)
    for (const NodeIndex node : out.to) result.push_back({node, out.message});
  return result;
}

class HubTest : public testing::Test {
 protected:
  void start() {
    for (NodeIndex node = 0; node < 3; ++node) take(node, of(Type::kRegistered));
  }
  Outs rank_ended(Rank rank, Stage stage) {
    Message message = of(Type::kRankEnded, rank);
    message.stage = stage;
    return take(three_nodes().node_of(rank), message);
  }
  // What all three nodes are told: the code and the cause. Empty if they are not told the same.
  static std::string verdict(const Outs& outs) {
    if (outs.size() != 3) return std::to_string(outs.size()) + " messages";
    for (NodeIndex node = 0; node < 3; ++node)
      if (outs[node].to != node || outs[node].message.type != Type::kEnd ||
          outs[node].message.text != outs[0].message.text)
        return "differing messages";
    return std::to_string(outs[0].message.status) + " " + outs[0].message.text;
  }

  // Another gang on the same nodes.
  void anew(Hub::Rules rules) { owned = make(rules); }
  static std::unique_ptr<Hub> make(Hub::Rules rules) {
    return std::make_unique<Hub>(three_nodes(), Tree::of(3, 3, 0), rules);
  }
  Outs take(NodeIndex from, Message message) {
    return one_by_one(owned->take(from, std::move(message)));
  }
  Outs lose(NodeIndex node) { return one_by_one(owned->lose(node)); }
  Outs registered_too_late() { return one_by_one(owned->registered_too_late()); }

  std::unique_ptr<Hub> owned = make({});
};

TEST_F(HubTest, StartsNobodyBeforeEverybodyHasRegistered) {
  EXPECT_TRUE(take(2, of(Type::kRegistered)).empty());
  EXPECT_TRUE(take(0, of(Type::kRegistered)).empty());
  const Outs outs = take(1, of(Type::kRegistered));
  ASSERT_EQ(outs.size(), 3u);
  EXPECT_TRUE(
      std::ranges::all_of(outs, [](const Out& out) { return out.message.type == Type::kStart; }));
  EXPECT_TRUE(registered_too_late().empty());
}

TEST_F(HubTest, NamesTheNodesThatDoNotCome) {
  take(1, of(Type::kRegistered));
  EXPECT_EQ(verdict(registered_too_late()), "1 no launcher was ready in time on node a, c");
}

TEST_F(HubTest, EndsWithZeroAfterTheLastRank) {
  start();
  for (Rank rank = 0; rank < 4; ++rank) {
    EXPECT_FALSE(owned->ended());
    const Outs outs = rank_ended(rank, Stage::kFinalized);
    if (rank == 3)
      EXPECT_EQ(verdict(outs), "0 ");
    else
      EXPECT_TRUE(outs.empty());
  }
  EXPECT_TRUE(owned->ended());
}

TEST_F(HubTest, WarnsOfRanksThatKnowNothingOfMpi) {
  start();
  for (Rank rank = 0; rank < 3; ++rank) rank_ended(rank, Stage::kStarted);
  EXPECT_EQ(verdict(rank_ended(3, Stage::kStarted)),
            "0 none of the 4 ranks called MPI_Init: each ran by itself");
}

TEST_F(HubTest, RefusesRanksThatKnowNothingOfMpiWhereItIsRequired) {
  anew({.mpi_required = true});
  start();
  for (Rank rank = 0; rank < 3; ++rank) rank_ended(rank, Stage::kStarted);
  EXPECT_EQ(verdict(rank_ended(3, Stage::kStarted)),
            "1 none of the 4 ranks called MPI_Init: each ran by itself");
}

TEST_F(HubTest, TheFirstFailureIsTheGangsAndNothingFollowsIt) {
  start();
  Message abort = of(Type::kAborted, 3);
  abort.status = 7;
  EXPECT_EQ(verdict(take(2, abort)), "7 rank 3 on node c called MPI_Abort(7)");
  EXPECT_TRUE(lose(1).empty());
  EXPECT_TRUE(rank_ended(0, Stage::kConnected).empty());
  EXPECT_TRUE(take(0, abort).empty());
}

TEST_F(HubTest, ALostLauncherEndsTheGang) {
  start();
  EXPECT_EQ(verdict(lose(2)), "1 the launcher of node c is lost");
}

TEST_F(HubTest, AFailingLauncherEndsTheGangWithItsWords) {
  Message failed = of(Type::kFailed);
  failed.status = 127;
  failed.text = "app: program not found on node b";
  EXPECT_EQ(verdict(take(1, failed)), "127 app: program not found on node b");
  for (const bool told : {false, true}) {
    anew({});
    failed.signalled = told;
    for (const auto& out : take(1, failed)) EXPECT_EQ(out.message.signalled, told);
  }
}

TEST_F(HubTest, PassesADirectQuestionToTheNodeOfItsRankAndTheAnswerBack) {
  start();
  Message ask = of(Type::kModexAsk, 3);
  ask.id = 5;
  Outs outs = take(1, ask);
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].to, 2u);
  EXPECT_EQ(outs[0].message.node, 1u);
  Message tell = outs[0].message;
  tell.type = Type::kModexTell;
  tell.bytes = "data";
  outs = take(2, tell);
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].to, 1u);
  EXPECT_EQ(outs[0].message.id, 5u);
  EXPECT_EQ(outs[0].message.bytes, "data");
}

TEST_F(HubTest, AnswersAQuestionAboutNoRankItself) {
  const Outs outs = take(1, of(Type::kModexAsk, 4));
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].to, 1u);
  EXPECT_EQ(outs[0].message.type, Type::kModexTell);
  EXPECT_EQ(outs[0].message.status, kPmixErrorNotFound);
}

TEST_F(HubTest, AnswersAPublisherBeforeThoseWhoWaitForTheName) {
  start();
  Message lookup = of(Type::kLookup);
  lookup.id = 1;
  lookup.keys = {"port"};
  lookup.status = 1;
  EXPECT_TRUE(take(2, lookup).empty());
  Message publish = of(Type::kPublish);
  publish.id = 9;
  publish.entries = {{"port", 0, "tcp"}};
  const Outs outs = take(0, publish);
  ASSERT_EQ(outs.size(), 2u);
  EXPECT_EQ(outs[0].to, 0u);
  EXPECT_EQ(outs[0].message.type, Type::kAnswer);
  EXPECT_EQ(outs[0].message.id, 9u);
  EXPECT_EQ(outs[1].to, 2u);
  EXPECT_EQ(outs[1].message.entries.at(0).value, "tcp");
}

TEST_F(HubTest, StartsAfterTheCoordinationHasEndedWellEverywhere) {
  anew({.coordinates = true});
  take(0, of(Type::kRegistered));
  take(1, of(Type::kRegistered));
  Outs outs = take(2, of(Type::kRegistered));
  ASSERT_EQ(outs.size(), 3u);
  EXPECT_EQ(outs[0].message.type, Type::kCoordinate);
  EXPECT_TRUE(take(1, of(Type::kCoordinated)).empty());
  EXPECT_TRUE(take(0, of(Type::kCoordinated)).empty());
  outs = take(2, of(Type::kCoordinated));
  ASSERT_EQ(outs.size(), 3u);
  EXPECT_EQ(outs[2].message.type, Type::kStart);
  EXPECT_EQ(verdict(take(2, of(Type::kCoordinated))),
            "1 the launcher of node c does not make sense: coordinated out of turn");
}

TEST_F(HubTest, EndsWithTheApplication) {
  for (const auto& [status, signalled, expected] :
       {std::tuple(0, false, "0 "),
        std::tuple(3, false, "3 the application on node a exited with code 3"),
        std::tuple(9, true, "137 the application on node a was killed by signal 9 (SIGKILL)")}) {
    anew({.application = true});
    start();
    Message ended = of(Type::kEnded);
    ended.status = status;
    ended.signalled = signalled;
    EXPECT_EQ(verdict(take(0, ended)), expected);
  }
  anew({.application = true});
  EXPECT_EQ(verdict(take(1, of(Type::kEnded))),
            "1 the launcher of node b does not make sense: the end of no application of its");
}

TEST_F(HubTest, PassesACommandToItsNodeAndWhatItSaysBack) {
  anew({.application = true});
  Message execute = of(Type::kExecute);
  execute.node = 2;
  execute.id = 4;
  execute.text = "hostname";
  Outs outs = take(0, execute);
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].to, 2u);
  EXPECT_EQ(outs[0].message.node, 0u);
  EXPECT_EQ(outs[0].message.text, "hostname");
  Message output = of(Type::kOutput);
  output.node = outs[0].message.node;
  output.id = 4;
  outs = take(2, output);
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].to, 0u);
  EXPECT_EQ(outs[0].message.node, 2u);
  execute.node = 3;
  EXPECT_EQ(verdict(take(0, execute)), "1 the launcher of node a does not make sense: a command");
}

TEST_F(HubTest, OfRanksPassesNoCommands) {
  Message execute = of(Type::kExecute);
  execute.node = 1;
  EXPECT_EQ(verdict(take(0, execute)), "1 the launcher of node a does not make sense: a command");
}

TEST_F(HubTest, ALauncherThatSpeaksNonsenseEndsTheGang) {
  EXPECT_EQ(verdict(take(1, of(Type::kConnected, 0))),
            "1 the launcher of node b does not make sense: rank 0");
  anew({});
  EXPECT_EQ(verdict(take(1, of(Type::kEnd))),
            "1 the launcher of node b does not make sense: message 17");
  anew({});
  start();
  rank_ended(2, Stage::kFinalized);
  EXPECT_EQ(verdict(rank_ended(2, Stage::kFinalized)),
            "1 the launcher of node b does not make sense: rank 2");
}

}  // namespace
}  // namespace leat::mpi
