#include "scheduler/store/sqlite_store.h"

#include <gtest/gtest.h>
#include <kj/async-io.h>

#include "scheduler/store/recovery.h"
#include "tests/scheduler/store/driver.h"
#include "tests/scheduler/store/scratch.h"

namespace leat::store {
namespace {

struct Opened {
  std::unique_ptr<StoreFile> file;
  Driver driver;
};

Opened open_store(const std::string& path) {
  auto file = StoreFile::open(path);
  LEAT_CHECK(file.ok());
  auto recovered = recover(*file.value());
  LEAT_CHECK(recovered.ok());
  return {std::move(file).value(), Driver(std::move(recovered).value(), 1)};
}

std::vector<TurnRecord> some_turns(Driver& driver, std::size_t count) {
  std::vector<TurnRecord> turns;
  while (turns.size() < count)
    if (auto record = driver.random_turn()) turns.push_back(std::move(*record));
  return turns;
}

TEST(SqliteStore, AnswersInTheOrderOfTurns) {
  Scratch scratch;
  auto io = kj::setupAsyncIo();
  Opened opened = open_store(scratch.path());
  SqliteStore store(std::move(opened.file), io.unixEventPort);
  std::vector<std::uint64_t> order;
  kj::Vector<kj::Promise<void>> promises;
  for (TurnRecord& turn : some_turns(opened.driver, 50)) {
    const std::uint64_t sequence = turn.sequence;
    promises.add(
        store.append(std::move(turn)).then([&order, sequence] { order.push_back(sequence); }));
  }
  kj::joinPromises(promises.releaseAsArray()).wait(io.waitScope);
  ASSERT_EQ(order.size(), 50u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(SqliteStore, DoesNotAnswerBeforeTheLoopTurns) {
  Scratch scratch;
  auto io = kj::setupAsyncIo();
  Opened opened = open_store(scratch.path());
  SqliteStore store(std::move(opened.file), io.unixEventPort);
  bool answered = false;
  auto promise = store.append(some_turns(opened.driver, 1)[0]).then([&] { answered = true; });
  EXPECT_FALSE(answered);
  promise.wait(io.waitScope);
  EXPECT_TRUE(answered);
}

TEST(SqliteStore, WritesWhatItWasGivenBeforeItCloses) {
  Scratch scratch;
  auto io = kj::setupAsyncIo();
  std::uint64_t digest = 0;
  {
    Opened opened = open_store(scratch.path());
    SqliteStore store(std::move(opened.file), io.unixEventPort);
    for (TurnRecord& turn : some_turns(opened.driver, 40))
      const auto nobody_waits = store.append(std::move(turn));
    digest = opened.driver.state().digest();
  }
  EXPECT_EQ(open_store(scratch.path()).driver.state().digest(), digest);
}

TEST(SqliteStore, RejectsWhatIsStillOpenWhenItCloses) {
  Scratch scratch;
  auto io = kj::setupAsyncIo();
  kj::Maybe<kj::Promise<void>> promise;
  {
    Opened opened = open_store(scratch.path());
    SqliteStore store(std::move(opened.file), io.unixEventPort);
    promise = store.append(some_turns(opened.driver, 1)[0]);
  }
  EXPECT_THROW(KJ_ASSERT_NONNULL(promise).wait(io.waitScope), kj::Exception);
}

TEST(SqliteStore, BoundsLookUps) {
  Scratch scratch;
  auto io = kj::setupAsyncIo();
  Opened opened = open_store(scratch.path());
  SqliteStore store(std::move(opened.file), io.unixEventPort);
  std::vector<kj::Promise<std::optional<core::Job>>> promises;
  for (std::size_t n = 0; n < Store::kQueriesMax; ++n)
    promises.push_back(store.find_job(JobId{n + 1}));
  try {
    store.find_job(JobId{1}).wait(io.waitScope);
    FAIL() << "one look-up too many was taken";
  } catch (const kj::Exception& refused) {
    EXPECT_EQ(refused.getType(), kj::Exception::Type::OVERLOADED);
  }
  for (auto& promise : promises) EXPECT_FALSE(promise.wait(io.waitScope).has_value());
  // And there is room again.
  EXPECT_FALSE(store.find_job(JobId{1}).wait(io.waitScope).has_value());
}

}  // namespace
}  // namespace leat::store
