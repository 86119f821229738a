#pragma once

// scheduler_server.h - serves schema/scheduler.capnp to users of the unix socket.

#include <kj/async-io.h>

#include <string>

#include "scheduler/core/spec.h"
#include "scheduler/wire/events.h"
#include "scheduler/wire/services.h"
#include "scheduler/wire/sessions.h"
#include "schema/scheduler.capnp.h"
#include "transport/identity.h"

namespace leat::wire {

// Cap'n Proto's interfaces have no virtual destructor: kj::Own remembers how to destroy.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// One user's view of the head: unpack, ask, pack. Decides nothing. What it tells is on disk.
//
// Borrows the services. Thread: engine loop.
class SchedulerServer final : public schema::Scheduler::Server {
 public:
  SchedulerServer(Services& services, std::uint32_t uid);

  // NOLINTBEGIN(readability-identifier-naming): the schema names them.
  kj::Promise<void> submit(SubmitContext context) override;
  kj::Promise<void> cancel(CancelContext context) override;
  kj::Promise<void> status(StatusContext context) override;
  kj::Promise<void> jobs(JobsContext context) override;
  kj::Promise<void> job(JobContext context) override;
  kj::Promise<void> nodes(NodesContext context) override;
  kj::Promise<void> pools(PoolsContext context) override;
  kj::Promise<void> why(WhyContext context) override;
  kj::Promise<void> watch(WatchContext context) override;
  kj::Promise<void> locate(LocateContext context) override;
  kj::Promise<void> result(ResultContext context) override;
  kj::Promise<void> upload(UploadContext context) override;
  kj::Promise<void> createPool(CreatePoolContext context) override;
  kj::Promise<void> shutdown(ShutdownContext context) override;
  kj::Promise<void> tasks(TasksContext context) override;
  kj::Promise<void> changePool(ChangePoolContext context) override;
  kj::Promise<void> deletePool(DeletePoolContext context) override;
  kj::Promise<void> planPool(PlanPoolContext context) override;
  kj::Promise<void> drainNode(DrainNodeContext context) override;
  kj::Promise<void> resumeNode(ResumeNodeContext context) override;
  kj::Promise<void> removeNode(RemoveNodeContext context) override;
  kj::Promise<void> makeTokens(MakeTokensContext context) override;
  kj::Promise<void> events(EventsContext context) override;
  kj::Promise<void> overview(OverviewContext context) override;
  kj::Promise<void> copyHistory(CopyHistoryContext context) override;
  kj::Promise<void> pruneHistory(PruneHistoryContext context) override;
  kj::Promise<void> retry(RetryContext context) override;
  kj::Promise<void> setJob(SetJobContext context) override;
  kj::Promise<void> hold(HoldContext context) override;
  kj::Promise<void> release(ReleaseContext context) override;
  // NOLINTEND(readability-identifier-naming)

 private:
  // The job, from memory or history; nullptr if there is none. Valid only within the call.
  using ReadJob = kj::Function<void(const core::State&, const core::Job*)>;

  kj::Promise<void> with_job(JobId id, ReadJob read);
  // A command whose only answer is done or refused, about pools or nodes. `to` lives as long as
  // the call.
  kj::Promise<void> post_wish(core::Command command, schema::Answer::Builder to);
  // 0: the newest of this user.
  JobId resolve(const core::State& state, std::uint64_t id) const;
  kj::Promise<void> answer_watch(WatchContext context, JobId id);
  // Posts a job; first asks history for what it comes after and memory does not know as active.
  kj::Promise<Result<core::Answer>> post_submit(core::Submit command);
  kj::Promise<void> look_up_past(core::Submit& command);
  // Whether a job was made under this key.
  bool is_known(const std::string& key) const;
  // Posts a retry if what it reads is still there.
  kj::Promise<Result<core::Answer>> post_retry(const core::Submit& command);
  template <typename Context>
  kj::Promise<void> post_wish(core::Command command, Context context);
  kj::Promise<void> locate_in_history(LocateContext context, JobId id, bool pending);
  // Where the node is, or else leat-store. False if only history knows when the node went.
  bool write_place(const core::State& state, RunId run, NodeRef node,
                   schema::LocateResult::Builder to);
  kj::Promise<void> write_end(NodeRef node, LocateContext context);
  std::string reader() const;
  kj::Promise<void> tell_events(EventsContext context, EventPlace from, std::uint64_t lost);
  void write_overview(const core::State& state, OverviewContext& context) const;

  Services& services_;
  core::Principal user_;
};

#pragma GCC diagnostic pop

// The unix socket's side: a session for everyone who comes in.
class UserDoor {
 public:
  static constexpr std::size_t kSessionsMax = 1'024;

  explicit UserDoor(Services& services);

  void accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream);
  std::size_t sessions() const { return sessions_.size(); }

 private:
  Services& services_;
  Sessions sessions_;
};

}  // namespace leat::wire
