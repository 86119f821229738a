#pragma once

// fake_seeing.h - the part of a fake head that shows what happens.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "schema/scheduler.capnp.h"

namespace leat::cli {

// What it answers, and what it has been asked.
struct FakeSights {
  // Pages of events, one per call; then it waits for ever, or says that there is nothing.
  std::vector<std::function<void(schema::EventsResult::Page::Builder)>> pages;
  std::function<void()> on_wait;
  std::vector<std::string> event_calls;  // "turn.fact job wait"
  std::function<void(schema::Overview::Builder)> fill_overview;
  std::function<std::string()> make_copy;  // a path
  std::int64_t pruned_before_us = 0;
};

// Cap'n Proto's servers have no virtual destructor: kj::Own remembers how to destroy them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class FakeSeeing : public schema::Scheduler::Server {
 public:
  explicit FakeSeeing(FakeSights& sights) : sights_(sights) {}

  kj::Promise<void> events(EventsContext context) override {
    context.allowCancellation();
    const auto params = context.getParams();
    const auto cursor = params.getCursor();
    sights_.event_calls.push_back(
        std::to_string(cursor.getTurn()) + '.' + std::to_string(cursor.getFact()) + ' ' +
        std::to_string(params.getJob()) + (params.getWait() ? " wait" : ""));
    if (sights_.pages.empty() && params.getWait()) {
      if (sights_.on_wait) sights_.on_wait();
      return kj::NEVER_DONE;
    }
    auto page = context.getResults().initPage();
    page.initNext().setTurn(cursor.getTurn());
    if (sights_.pages.empty()) return kj::READY_NOW;
    sights_.pages.front()(page);
    sights_.pages.erase(sights_.pages.begin());
    return kj::READY_NOW;
  }

  kj::Promise<void> overview(OverviewContext context) override {
    context.allowCancellation();
    if (context.getParams().getCursor() > 0) return kj::NEVER_DONE;
    auto overview = context.getResults().initOverview();
    overview.setCursor(1);
    if (sights_.fill_overview) sights_.fill_overview(overview);
    return kj::READY_NOW;
  }

  kj::Promise<void> copyHistory(CopyHistoryContext context) override {
    context.getResults().setPath(sights_.make_copy().c_str());
    return kj::READY_NOW;
  }

  kj::Promise<void> pruneHistory(PruneHistoryContext context) override {
    sights_.pruned_before_us = context.getParams().getBeforeUs();
    auto pruned = context.getResults().initPruned();
    pruned.setJobs(2);
    pruned.setRuns(30);
    pruned.setOthers(4);
    return kj::READY_NOW;
  }

 private:
  FakeSights& sights_;
};

#pragma GCC diagnostic pop

}  // namespace leat::cli
