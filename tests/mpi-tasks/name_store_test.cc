#include "mpi-tasks/name_store.h"

#include <gtest/gtest.h>

namespace leat::mpi {
namespace {

constexpr NameStore::Asker kAsker{1, 10};
constexpr NameStore::Asker kOther{2, 10};

TEST(NameStore, GivesWhatWasPublishedToAnybodyAnyTime) {
  NameStore store;
  EXPECT_EQ(store.publish({{"port", 3, "tcp"}}, false), kPmixSuccess);
  for (int i = 0; i < 2; ++i) {
    store.lookup(kAsker, {"port"}, 0);
    const auto answers = store.answers();
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].asker, kAsker);
    EXPECT_EQ(answers[0].status, kPmixSuccess);
    EXPECT_EQ(answers[0].entries, (std::vector<Entry>{{"port", 3, "tcp"}}));
  }
}

TEST(NameStore, RefusesANameThatIsTakenAndKeepsNothingOfTheRest) {
  NameStore store;
  store.publish({{"a", 0, "1"}}, false);
  EXPECT_EQ(store.publish({{"b", 1, "2"}, {"a", 1, "3"}}, false), kPmixErrorDuplicateKey);
  EXPECT_EQ(store.publish({{"c", 1, "2"}, {"c", 1, "3"}}, false), kPmixErrorDuplicateKey);
  store.lookup(kAsker, {"b"}, 0);
  EXPECT_EQ(store.answers()[0].status, kPmixErrorNotFound);
}

TEST(NameStore, KeepsWhoWaitsUntilEnoughIsThere) {
  NameStore store;
  store.lookup(kAsker, {"a", "b"}, 2);
  EXPECT_TRUE(store.answers().empty());
  store.publish({{"a", 0, "1"}}, false);
  EXPECT_TRUE(store.answers().empty());
  store.publish({{"b", 0, "2"}}, false);
  EXPECT_EQ(store.answers().at(0).entries.size(), 2u);
  EXPECT_TRUE(store.answers().empty());
}

TEST(NameStore, SaysWhenOnlySomeOfTheNamesAreThere) {
  NameStore store;
  store.publish({{"a", 0, "1"}}, false);
  store.lookup(kAsker, {"a", "b"}, 1);
  EXPECT_EQ(store.answers().at(0).status, kPmixErrorPartialSuccess);
}

TEST(NameStore, AValueToBeReadOnceGoesToTheFirstWhoAsked) {
  NameStore store;
  store.lookup(kAsker, {"a"}, 1);
  store.lookup(kOther, {"a"}, 1);
  store.publish({{"a", 0, "1"}}, true);
  const auto answers = store.answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].asker, kAsker);
  EXPECT_EQ(store.publish({{"a", 0, "2"}}, true), kPmixSuccess);
  EXPECT_EQ(store.answers().at(0).asker, kOther);
}

TEST(NameStore, WhoHasGivenUpTakesNothingAway) {
  NameStore store;
  store.lookup(kAsker, {"a"}, 1);
  store.forget(kOther);
  store.forget(kAsker);
  store.publish({{"a", 0, "1"}}, true);
  EXPECT_TRUE(store.answers().empty());
}

TEST(NameStore, WithdrawsOnlyWhatIsTheCallersOwn) {
  NameStore store;
  store.publish({{"a", 0, "1"}, {"b", 0, "2"}}, false);
  EXPECT_EQ(store.unpublish(1, {"a"}), kPmixErrorNotFound);
  EXPECT_EQ(store.unpublish(0, {"a"}), kPmixSuccess);
  EXPECT_EQ(store.unpublish(0, {"a"}), kPmixErrorNotFound);
  EXPECT_EQ(store.unpublish(0, {}), kPmixSuccess);
  EXPECT_EQ(store.publish({{"a", 1, "3"}, {"b", 1, "4"}}, false), kPmixSuccess);
}

TEST(NameStore, IsBounded) {
  NameStore store;
  EXPECT_EQ(store.publish({{"a", 0, std::string(NameStore::kBytesMax, 'x')}}, false),
            kPmixErrorBadParameter);
}

}  // namespace
}  // namespace leat::mpi
