#include "mpi-tasks/rank_book.h"

#include <gtest/gtest.h>

#include <signal.h>

namespace leat::mpi {
namespace {

const Layout& two_nodes() {
  static const Layout layout = Layout::make({{"a", {0, 1}}, {"b", {2, 3}}}).value();
  return layout;
}

class RankBookTest : public testing::Test {
 protected:
  std::optional<Failure> exit(Rank rank, int code, Stage stage) {
    return book.end(rank, code, false, stage);
  }

  RankBook book{two_nodes()};
};

TEST_F(RankBookTest, AllIsWellWhenEveryRankFinalizesAndExitsWithZero) {
  for (Rank rank = 0; rank < 4; ++rank) EXPECT_FALSE(book.connect(rank));
  for (Rank rank = 0; rank < 4; ++rank) {
    EXPECT_FALSE(book.all_ended());
    EXPECT_FALSE(exit(rank, 0, Stage::kFinalized));
  }
  EXPECT_TRUE(book.all_ended());
  EXPECT_TRUE(book.any_connected());
}

TEST_F(RankBookTest, AllIsWellWhenNobodyKnowsOfMpi) {
  for (Rank rank = 0; rank < 4; ++rank) EXPECT_FALSE(exit(rank, 0, Stage::kStarted));
  EXPECT_TRUE(book.all_ended());
  EXPECT_FALSE(book.any_connected());
}

TEST_F(RankBookTest, NamesWhoLeavesBeforeInitWhileOthersAreIn) {
  book.connect(0);
  EXPECT_EQ(exit(3, 0, Stage::kStarted),
            (Failure{1, "rank 3 on node b exited without MPI_Init while other ranks called it"}));
}

TEST_F(RankBookTest, NamesWhoLeftBeforeInitOnceAnotherCallsIt) {
  EXPECT_FALSE(exit(3, 0, Stage::kStarted));
  EXPECT_EQ(book.connect(0),
            (Failure{1, "rank 3 on node b exited without MPI_Init while other ranks called it"}));
}

TEST_F(RankBookTest, NamesWhoExitsWithoutFinalize) {
  book.connect(1);
  EXPECT_EQ(exit(1, 0, Stage::kConnected),
            (Failure{1, "rank 1 on node a exited without MPI_Finalize"}));
}

TEST_F(RankBookTest, TheCodeOfARankIsTheCodeOfTheGang) {
  EXPECT_EQ(exit(0, 5, Stage::kStarted), (Failure{5, "rank 0 on node a exited with code 5"}));
  book.connect(1);
  EXPECT_EQ(exit(1, 3, Stage::kFinalized),
            (Failure{3, "rank 1 on node a exited with code 3 after MPI_Finalize"}));
}

TEST_F(RankBookTest, ASignalIsNamedAndCountedFrom128) {
  EXPECT_EQ(book.end(2, SIGKILL, true, Stage::kConnected),
            (Failure{137, "rank 2 on node b was killed by signal 9 (SIGKILL)"}));
  EXPECT_EQ(
      book.end(3, SIGSEGV, true, Stage::kFinalized),
      (Failure{139, "rank 3 on node b was killed by signal 11 (SIGSEGV) after MPI_Finalize"}));
}

TEST_F(RankBookTest, AnAbortCarriesItsOwnCode) {
  EXPECT_EQ(book.abort(3, 7, "N/A"), (Failure{7, "rank 3 on node b called MPI_Abort(7)"}));
  EXPECT_EQ(book.abort(3, 9, "no input").cause, "rank 3 on node b called MPI_Abort(9): no input");
}

TEST(FailureCode, IsNeverZero) {
  EXPECT_EQ(failure_code(0), 1);
  EXPECT_EQ(failure_code(256), 1);
  EXPECT_EQ(failure_code(7), 7);
  EXPECT_EQ(failure_code(-1), 255);
}

}  // namespace
}  // namespace leat::mpi
