// mailbox_test.cc - the door between threads, with real threads on one side of it.

#include "base/loop/mailbox.h"

#include <gtest/gtest.h>

#include <kj/async-io.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace leat {
namespace {

constexpr kj::Duration kDeadline = 20 * kj::SECONDS;

// A loop with a real event port.
struct Loop {
  // What take() gives, or a failed test after the deadline.
  template <typename T>
  std::vector<T> take(Mailbox<T>& mailbox) {
    kj::Timer& timer = io.provider->getTimer();
    return timer.timeoutAfter(kDeadline, mailbox.take()).wait(io.waitScope);
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
};

TEST(Mailbox, GivesWhatWasPutInOrder) {
  Loop loop;
  Mailbox<int> mailbox(loop.io.unixEventPort);
  mailbox.put(1);
  mailbox.put(2);
  EXPECT_EQ(loop.take(mailbox), (std::vector<int>{1, 2}));
  mailbox.put(3);
  EXPECT_EQ(loop.take(mailbox), (std::vector<int>{3}));
}

TEST(Mailbox, WaitsWhileItIsEmpty) {
  Loop loop;
  Mailbox<int> mailbox(loop.io.unixEventPort);
  kj::Promise<std::vector<int>> taken = mailbox.take();
  EXPECT_FALSE(taken.poll(loop.io.waitScope));
  mailbox.put(5);
  EXPECT_TRUE(taken.poll(loop.io.waitScope));
  EXPECT_EQ(taken.wait(loop.io.waitScope), (std::vector<int>{5}));
}

TEST(Mailbox, IsNotWokenByItemsThatWereTakenAlready) {
  Loop loop;
  Mailbox<int> mailbox(loop.io.unixEventPort);
  mailbox.put(1);
  EXPECT_EQ(loop.take(mailbox), (std::vector<int>{1}));
  kj::Promise<std::vector<int>> taken = mailbox.take();
  EXPECT_FALSE(taken.poll(loop.io.waitScope));
}

TEST(Mailbox, CarriesWhatCannotBeCopied) {
  Loop loop;
  Mailbox<std::unique_ptr<int>> mailbox(loop.io.unixEventPort);
  mailbox.put(std::make_unique<int>(4));
  const auto items = loop.take(mailbox);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(*items[0], 4);
}

TEST(Mailbox, LosesNothingBetweenThreads) {
  Loop loop;
  constexpr int kThreads = 4;
  constexpr int kItems = 20000;
  Mailbox<std::pair<int, int>> mailbox(loop.io.unixEventPort);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([thread, &mailbox] {
      for (int item = 0; item < kItems; ++item) mailbox.put({thread, item});
    });

  std::vector<int> next(kThreads, 0);
  int total = 0;
  while (total < kThreads * kItems) {
    const auto items = loop.take(mailbox);
    EXPECT_FALSE(items.empty());
    for (const auto& [thread, item] : items) {
      EXPECT_EQ(item, next[static_cast<std::size_t>(thread)]++);
      ++total;
    }
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace leat
