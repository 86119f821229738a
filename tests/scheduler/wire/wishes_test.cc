// What users may ask of jobs that are there: come after them, try them again, hold and change them.

#include <gtest/gtest.h>

#include <string>

#include "scheduler/store/spec_codec.h"
#include "tests/scheduler/wire/wire_head.h"

namespace leat::wire {
namespace {

using Refused = schema::Refusal::Reason;

class Wishes : public testing::Test {
 protected:
  ~Wishes() noexcept override {}

  std::uint64_t submit(store::SpecMessage& message, const std::string& key) {
    auto answer = ask(message, key);
    EXPECT_TRUE(answer.isJob()) << (answer.isRefusal() ? answer.getRefusal().getMessage().cStr()
                                                       : "");
    return answer.isJob() ? answer.getJob() : 0;
  }

  schema::SubmitResult::Reader ask(store::SpecMessage& message, const std::string& key) {
    auto request = user.submitRequest();
    request.setKey(key.c_str());
    request.setSpec(message.job());
    return keep(wire.call(kj::mv(request)));
  }

  schema::SubmitResult::Reader retry(std::uint64_t job, const std::string& key) {
    auto request = user.retryRequest();
    request.setKey(key.c_str());
    request.setJob(job);
    return keep(wire.call(kj::mv(request)));
  }

  // Placed runs of a stage of `job` end: those in `failing` with exit code 1.
  void end_all(std::uint64_t job, const IndexList& failing, StageId id = 0) {
    const core::Stage& stage = *wire.head.engine.state().stage({JobId{job}, id});
    std::vector<Index> good;
    std::vector<Index> bad;
    stage.spec->indices.for_each(
        [&](Index index) { (failing.position_of(index) ? bad : good).push_back(index); });
    for (const auto& [indices, code] : {std::pair(good, 0), std::pair(bad, 1)}) {
      if (indices.empty()) continue;
      RunColumns columns;
      columns.code = Column<std::int32_t>(code);
      ASSERT_TRUE(
          wire.head
              .ask(core::ReportEnded{node,
                                     session,
                                     {{{{JobId{job}, id}, 1, IndexList::from_sorted(indices)},
                                       columns,
                                       std::nullopt}}})
              .ok());
    }
  }

  const core::Job& job(std::uint64_t id) { return *wire.head.engine.state().job(JobId{id}); }

  // What is read of a response lives as long as the response.
  template <typename Response>
  schema::SubmitResult::Reader keep(Response response) {
    auto held = std::make_shared<Response>(kj::mv(response));
    kept.push_back(held);
    return *held;
  }

  WireHead wire;
  schema::Scheduler::Client user = wire.user();
  NodeRef node = wire.head.request_node(wire.head.pool(1));
  std::uint64_t session = wire.head.join(node, 8);
  std::vector<std::shared_ptr<void>> kept;
};

struct Plain : store::SpecMessage {
  explicit Plain(std::uint64_t tasks, std::uint64_t width = 0, std::uint64_t step = 1)
      : SpecMessage(tasks, width, step) {
    stage().setRetries(0);
  }
};

struct AfterJob : Plain {
  AfterJob(std::uint64_t tasks, std::uint64_t target, bool element = false) : Plain(tasks) {
    auto list = stage().initAfter(1);
    list[0].setJob(target);
    list[0].setElementWise(element);
  }
};

TEST_F(Wishes, ComeAfterAJobThatOnlyHistoryKnows) {
  Plain first(4);
  const std::uint64_t old = submit(first, "a");
  end_all(old, IndexList(Stride{1, 2, 1}));
  ASSERT_FALSE(job(old).active());
  AfterJob second(4, old, true);
  const std::uint64_t dependant = submit(second, "b");
  EXPECT_EQ(job(dependant).stages[0].counts[static_cast<std::size_t>(core::TaskState::kSkipped)],
            2u);
  // Forgotten by memory, known to history.
  ASSERT_EQ(wire.head.store.jobs.count(JobId{old}), 1u);
  AfterJob unequal(5, old, true);
  const auto refused = ask(unequal, "c");
  ASSERT_TRUE(refused.isRefusal());
  EXPECT_EQ(refused.getRefusal().getReason(), Refused::CONFLICT);
}

TEST_F(Wishes, RefuseWhatNeverWas) {
  AfterJob message(1, 7);
  const auto refused = ask(message, "a");
  ASSERT_TRUE(refused.isRefusal());
  EXPECT_EQ(refused.getRefusal().getReason(), Refused::NOT_FOUND);
  EXPECT_EQ(retry(7, "r").getRefusal().getReason(), Refused::NOT_FOUND);
}

TEST_F(Wishes, TryAgainWhatFailedInAJobThatIsOver) {
  Plain message(6, 0, 10);
  message.job().setPriority(3);
  const std::uint64_t old = submit(message, "a");
  end_all(old, IndexList::parse("10,50").value());
  ASSERT_FALSE(job(old).active());
  const auto answer = retry(old, "r");
  ASSERT_TRUE(answer.isJob()) << answer.getRefusal().getMessage().cStr();
  const core::Job& made = job(answer.getJob());
  EXPECT_EQ(made.retry_of, JobId{old});
  EXPECT_EQ(made.name, "sweep");
  EXPECT_EQ(made.priority, 3);
  EXPECT_EQ(made.spec->stages[0].indices.to_string(),
            IndexList::parse("10,50").value().to_string());
  store::with_encoded(*made.spec, [](schema::JobSpec::Reader spec) {
    const auto stage = spec.getStages()[0];
    EXPECT_EQ(stage.getProgram().getArgv()[0], "/bin/echo");
    ASSERT_EQ(stage.getOrigin().size(), 1u);
    EXPECT_EQ(stage.getOrigin()[0].getCount(), 6u);
  });
  // The same key is the same job; another key makes another one of the same tasks.
  EXPECT_EQ(retry(old, "r").getJob(), answer.getJob());
  EXPECT_NE(retry(old, "s").getJob(), answer.getJob());
  // A retry of the retry counts from the first job still.
  end_all(answer.getJob(), IndexList::parse("50").value());
  const auto again = retry(answer.getJob(), "t");
  ASSERT_TRUE(again.isJob());
  store::with_encoded(*job(again.getJob()).spec, [](schema::JobSpec::Reader spec) {
    EXPECT_EQ(spec.getStages()[0].getOrigin()[0].getCount(), 6u);
  });
}

TEST_F(Wishes, TryAgainWhatHasFailedSoFar) {
  Plain message(20);
  const std::uint64_t old = submit(message, "a");
  RunColumns columns;
  columns.code = Column<std::int32_t>(1);
  ASSERT_TRUE(wire.head
                  .ask(core::ReportEnded{
                      node,
                      session,
                      {{{{JobId{old}, 0}, 1, IndexList(Stride{0, 2, 1})}, columns, std::nullopt}}})
                  .ok());
  ASSERT_TRUE(job(old).active());
  const auto answer = retry(old, "r");
  ASSERT_TRUE(answer.isJob());
  EXPECT_EQ(job(answer.getJob()).spec->stages[0].indices.to_string(), "0-1");
}

// Stages of `tasks` tasks one after another, each after all of the one before.
struct Pipeline : Plain {
  explicit Pipeline(std::uint64_t tasks, capnp::uint stages) : Plain(tasks) {
    capnp::MallocMessageBuilder copy;
    copy.setRoot(job().asReader());
    auto list = job().initStages(stages);
    for (capnp::uint id = 0; id < stages; ++id) {
      list.setWithCaveats(id, copy.getRoot<schema::JobSpec>().getStages()[0].asReader());
      list[id].setName("part " + std::to_string(id));
      if (id > 0) list[id].initAfter(1)[0].setStage(static_cast<StageId>(id - 1));
    }
    job().setResultStage(-1);
  }
};

TEST_F(Wishes, TryAgainTheStagesThatDidNotSucceed) {
  Pipeline message(4, 3);
  const std::uint64_t old = submit(message, "a");
  end_all(old, {});
  const auto early = retry(old, "q");
  ASSERT_TRUE(early.isRefusal());
  EXPECT_EQ(early.getRefusal().getMessage(),
            "job 1 has several stages and has not ended: wait for it (leat wait), or cancel it, "
            "and then retry it");
  end_all(old, IndexList(Stride{2, 1, 1}), 1);
  ASSERT_FALSE(job(old).active());
  const auto answer = retry(old, "r");
  ASSERT_TRUE(answer.isJob()) << answer.getRefusal().getMessage().cStr();
  EXPECT_EQ(answer.getNote(), "");
  const core::Job& made = job(answer.getJob());
  EXPECT_EQ(made.retry_of, JobId{old});
  ASSERT_EQ(made.stages.size(), 2u);
  EXPECT_EQ(made.spec->stages[0].name, "part 1");
  EXPECT_EQ(made.spec->stages[0].indices.to_string(), "2");
  EXPECT_TRUE(made.spec->stages[0].after.empty());
  EXPECT_EQ(made.spec->stages[1].indices.to_string(), "0-3");
  EXPECT_EQ(made.spec->stages[1].after, (std::vector<core::After>{{}}));
  EXPECT_EQ(retry(old, "r").getJob(), answer.getJob());
  // The rest of a retry may be retried, too, and counts from the first job still.
  end_all(answer.getJob(), {});
  end_all(answer.getJob(), IndexList(Stride{3, 1, 1}), 1);
  const auto again = retry(answer.getJob(), "s");
  ASSERT_TRUE(again.isJob()) << again.getRefusal().getMessage().cStr();
  EXPECT_EQ(retry(old, "r").getJob(), answer.getJob());
  ASSERT_EQ(job(again.getJob()).stages.size(), 1u);
  EXPECT_EQ(job(again.getJob()).spec->stages[0].indices.to_string(), "3");
  store::with_encoded(*job(again.getJob()).spec, [](schema::JobSpec::Reader spec) {
    ASSERT_EQ(spec.getStages()[0].getOrigin().size(), 1u);
    EXPECT_EQ(spec.getStages()[0].getOrigin()[0].getCount(), 4u);
  });
}

TEST_F(Wishes, TryAReduceAgainWithAllThatItReads) {
  Plain reducing(3, 4);
  const std::uint64_t old = submit(reducing, "b");
  end_all(old, IndexList(Stride{1, 1, 1}));
  ASSERT_FALSE(job(old).active());
  const auto answer = retry(old, "s");
  ASSERT_TRUE(answer.isJob()) << answer.getRefusal().getMessage().cStr();
  EXPECT_EQ(answer.getNote(),
            "runs again although it had succeeded: 2 tasks of stage 0 (its output is read again "
            "and not kept, or it goes with what runs again)");
  const core::Job& made = job(answer.getJob());
  ASSERT_EQ(made.stages.size(), 2u);
  EXPECT_EQ(made.spec->stages[0].indices.to_string(), "0-2");
  EXPECT_EQ(made.spec->result_stage, 1);
  EXPECT_EQ(made.spec->stages[1].reduces, (core::ReduceInput{0, 4}));
}

TEST_F(Wishes, DoNotTryAgainWhatSucceeded) {
  Plain message(2);
  const std::uint64_t fine = submit(message, "a");
  EXPECT_EQ(retry(fine, "q").getRefusal().getReason(), Refused::CONFLICT);  // nothing yet
  end_all(fine, {});
  ASSERT_FALSE(job(fine).active());
  const auto none = retry(fine, "r");
  ASSERT_TRUE(none.isRefusal());
  EXPECT_NE(std::string(none.getRefusal().getMessage().cStr()).find("no task that ended without"),
            std::string::npos);
  Pipeline several(2, 2);
  const std::uint64_t well = submit(several, "b");
  end_all(well, {});
  end_all(well, {}, 1);
  ASSERT_FALSE(job(well).active());
  EXPECT_EQ(retry(well, "s").getRefusal().getMessage(),
            "job 2 has no task that ended without success");
}

TEST_F(Wishes, DoNotTryAgainWhatHasLostItsInputs) {
  Plain message(2);
  const std::uint64_t old = submit(message, "a");
  end_all(old, IndexList(Stride{0, 2, 1}));
  wire.inputs = false;
  const auto gone = retry(old, "r");
  ASSERT_TRUE(gone.isRefusal());
  EXPECT_EQ(gone.getRefusal().getReason(), Refused::CONFLICT);
  EXPECT_EQ(gone.getRefusal().getMessage(),
            "job 1: its inputs are not kept any more: submit it again");
  wire.inputs = Refusal{Reason::kOverloaded, "no answer"};
  EXPECT_EQ(retry(old, "r").getRefusal().getReason(), Refused::OVERLOADED);
  EXPECT_EQ(wire.head.engine.state().jobs().size(), 1u);
  wire.inputs = true;
  const std::uint64_t made = retry(old, "r").getJob();
  wire.inputs = false;
  EXPECT_EQ(retry(old, "r").getJob(), made);
}

TEST_F(Wishes, HoldReleaseAndSet) {
  Plain message(100);
  const std::uint64_t id = submit(message, "a");
  auto hold = user.holdRequest();
  hold.setKey("h");
  hold.setJob(id);
  EXPECT_TRUE(wire.call(kj::mv(hold)).isDone());
  auto ask_job = user.jobRequest();
  ask_job.setJob(id);
  const auto shown = wire.call(kj::mv(ask_job));
  EXPECT_EQ(shown.getJob().getState(), schema::JobState::HELD);
  EXPECT_EQ(shown.getJob().getHeldBy().getUid(), kUid);
  EXPECT_GT(shown.getJob().getHeldUs(), 0);
  auto release = user.releaseRequest();
  release.setKey("r");
  release.setJob(id);
  EXPECT_TRUE(wire.call(kj::mv(release)).isDone());
  EXPECT_EQ(job(id).state, core::JobState::kRunning);
  auto set = user.setJobRequest();
  set.setKey("s");
  set.setJob(id);
  set.initChange().setSetsPriority(true);
  set.getChange().setPriority(-2);
  EXPECT_TRUE(wire.call(kj::mv(set)).isDone());
  EXPECT_EQ(job(id).priority, -2);
  EXPECT_EQ(job(id).name, "sweep");
  auto unknown = user.holdRequest();
  unknown.setKey("u");
  unknown.setJob(99);
  EXPECT_EQ(wire.call(kj::mv(unknown)).getRefusal().getReason(), Refused::NOT_FOUND);
}

TEST_F(Wishes, AreGrantedOnceForEachKeyWhateverOthersDoMeanwhile) {
  Plain message(100);
  const std::uint64_t id = submit(message, "a");
  const auto hold = [&](const char* key) {
    auto request = user.holdRequest();
    request.setKey(key);
    request.setJob(id);
    return wire.call(kj::mv(request)).isDone();
  };
  EXPECT_TRUE(hold("h"));
  auto release = user.releaseRequest();
  release.setKey("r");
  release.setJob(id);
  EXPECT_TRUE(wire.call(kj::mv(release)).isDone());
  EXPECT_TRUE(hold("h"));
  EXPECT_EQ(job(id).state, core::JobState::kRunning);
  EXPECT_TRUE(hold("i"));
  EXPECT_EQ(job(id).state, core::JobState::kHeld);
  // Events are of what happened, not of keys.
  auto events = user.eventsRequest();
  events.setJob(id);
  const auto answer = wire.call(kj::mv(events));
  const auto told = answer.getPage().getEvents();
  EXPECT_EQ(told[told.size() - 1].getKind(), "job-held");
  for (const auto event : told) EXPECT_NE(event.getKind(), "");
}

TEST_F(Wishes, RetryAJobThatIsNotKnownAnyMoreUnderItsKey) {
  Plain message(6);
  const std::uint64_t old = submit(message, "a");
  end_all(old, IndexList::parse("1").value());
  const std::uint64_t made = retry(old, "r").getJob();
  ASSERT_NE(made, 0u);
  wire.head.store.jobs.clear();
  EXPECT_TRUE(retry(old, "s").isRefusal());
  EXPECT_EQ(retry(old, "r").getJob(), made);
}

TEST_F(Wishes, TellWhyTasksWereSkipped) {
  Plain first(1);
  const std::uint64_t old = submit(first, "a");
  AfterJob second(3, old);
  const std::uint64_t dependant = submit(second, "b");
  end_all(old, IndexList(Stride{0, 1, 1}));
  auto ask_job = user.jobRequest();
  ask_job.setJob(dependant);
  const auto shown = wire.call(kj::mv(ask_job));
  EXPECT_EQ(shown.getJob().getState(), schema::JobState::SKIPPED);
  EXPECT_EQ(shown.getJob().getSkippedFor(), old);
  EXPECT_EQ(shown.getJob().getReason(), "it comes after job 1, which did not end as it should");
  auto why = user.whyRequest();
  why.setJob(dependant);
  const auto causes = wire.call(kj::mv(why));
  EXPECT_EQ(causes.getCauses()[0].getMessage(),
            "job 2 has ended: skipped: it comes after job 1, which did not end as it should");
}

}  // namespace
}  // namespace leat::wire
