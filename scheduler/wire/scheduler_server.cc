#include "scheduler/wire/scheduler_server.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

#include "scheduler/store/spec_codec.h"
#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "scheduler/wire/task_progress.h"

namespace leat::wire {
namespace {

constexpr std::uint32_t kJobsListedMax = 1'000;
// Beyond every id that SQL can hold.
constexpr std::uint64_t kIdMax = ~std::uint64_t{0} >> 1;

template <typename Answer>
void write_done(const Result<Answer>& answer, schema::Answer::Builder to) {
  if (answer.ok()) {
    to.setDone();
  } else {
    write_refusal(answer.refusal(), to.initRefusal());
  }
}

}  // namespace

void GoneNodes::note(NodeRef node, std::int64_t wall_us) {
  times_[node] = wall_us;
  if (times_.size() > kKept) times_.erase(times_.begin());
}

std::int64_t GoneNodes::when(NodeRef node) const {
  const auto at = times_.find(node);
  return at == times_.end() ? 0 : at->second;
}

SchedulerServer::SchedulerServer(Services& services, std::uint32_t uid)
    : services_(services), user_{uid, services.facts.host_name, {}} {}

std::string SchedulerServer::reader() const {
  return transport::common_name(
      {.kind = transport::Peer::Kind::kUser, .node = {}, .uid = user_.uid});
}

JobId SchedulerServer::resolve(const core::State& state, std::uint64_t id) const {
  if (id != 0) return JobId{id};
  for (auto at = state.jobs().rbegin(); at != state.jobs().rend(); ++at)
    if (at->second.owner.uid == user_.uid) return at->first;
  return {};
}

kj::Promise<void> SchedulerServer::cancel(CancelContext context) {
  const auto params = context.getParams();
  Result<IndexList> indices = store::read_index_list(params.getIndices());
  if (!indices.ok()) {
    write_refusal(indices.refusal(), context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  return services_.engine
      .post(core::Cancel{store::read_text(params.getKey()), user_, JobId{params.getJob()},
                         params.getStage(), std::move(indices).value()})
      .then([context](const Result<core::Answer>& answer) mutable {
        write_done(answer, context.getResults());
      });
}

kj::Promise<void> SchedulerServer::jobs(JobsContext context) {
  const auto params = context.getParams();
  const std::uint32_t asked = params.getLimit() == 0 ? kJobsListedMax : params.getLimit();
  const std::uint32_t limit = std::min(asked, kJobsListedMax);
  const JobId before{params.getBefore() == 0 ? kIdMax : params.getBefore()};
  return services_.store.find_jobs(before, limit)
      .then([this, context, before, limit](std::vector<core::Job> ended) mutable {
        return services_.engine.query(
            [context, before, limit, ended = std::move(ended)](const core::State& state) mutable {
              // Newest first from both: what memory has wins, as it is the newer word.
              std::map<JobId, const core::Job*> found;
              for (const core::Job& job : ended) found[job.id] = &job;
              std::uint32_t taken = 0;
              for (auto at = std::make_reverse_iterator(state.jobs().lower_bound(before));
                   at != state.jobs().rend() && taken < limit; ++at, ++taken)
                found[at->first] = &at->second;
              while (found.size() > limit) found.erase(found.begin());
              const Running running(state);
              auto to = context.getResults().initJobs(static_cast<unsigned>(found.size()));
              unsigned n = 0;
              for (auto at = found.rbegin(); at != found.rend(); ++at)
                write_job(state, *at->second, running, to[n++]);
            });
      });
}

kj::Promise<void> SchedulerServer::with_job(JobId id, ReadJob read) {
  bool known = false;
  // The reader runs at once, or when the record being written is on disk; so look there.
  auto held = kj::heap<ReadJob>(kj::mv(read));
  ReadJob& reading = *held;
  auto seen = kj::heap<bool>(known);
  bool& was_known = *seen;
  return services_.engine
      .query([id, &reading, &was_known](const core::State& state) {
        const core::Job* job = state.job(id);
        was_known = job != nullptr;
        if (was_known) reading(state, job);
      })
      .then([this, id, &reading, &was_known]() -> kj::Promise<void> {
        if (was_known) return kj::READY_NOW;
        return services_.store.find_job(id).then([this, &reading](std::optional<core::Job> job) {
          return services_.engine.query([&reading, job = std::move(job)](const core::State& state) {
            reading(state, job ? &*job : nullptr);
          });
        });
      })
      .attach(kj::mv(held), kj::mv(seen));
}

kj::Promise<void> SchedulerServer::job(JobContext context) {
  const JobId id = resolve(services_.engine.state(), context.getParams().getJob());
  return with_job(id, [this, context, id](const core::State& state, const core::Job* job) mutable {
    if (job == nullptr) {
      write_refusal(no_job(id), context.getResults().initRefusal());
    } else {
      auto summary = context.getResults().initJob();
      write_job(state, *job, Running(state, id), summary);
      write_progress(services_.board, state, id, summary);
    }
  });
}

kj::Promise<void> SchedulerServer::watch(WatchContext context) {
  context.allowCancellation();
  const auto params = context.getParams();
  const JobId id = resolve(services_.engine.state(), params.getJob());
  const core::Job* job = services_.engine.state().job(id);
  if (job == nullptr || !job->active()) return answer_watch(context, id);
  return services_.progress.wait(id, params.getCursor())
      .then([this, context, id](const Result<Done>& woken) mutable -> kj::Promise<void> {
        if (woken.ok()) return answer_watch(context, id);
        write_refusal(woken.refusal(), context.getResults().initRefusal());
        return kj::READY_NOW;
      });
}

kj::Promise<void> SchedulerServer::answer_watch(WatchContext context, JobId id) {
  return with_job(id, [this, context, id](const core::State& state, const core::Job* job) mutable {
    if (job == nullptr) {
      write_refusal(no_job(id), context.getResults().initRefusal());
      return;
    }
    auto change = context.getResults().initChange();
    auto summary = change.initJob();
    write_job(state, *job, Running(state, id), summary);
    write_progress(services_.board, state, id, summary);
    change.setCursor(job->active() ? services_.progress.cursor(id) : services_.engine.sequence());
    change.setNowUs(services_.wall_us());
  });
}

kj::Promise<void> SchedulerServer::result(ResultContext context) {
  const JobId id = resolve(services_.engine.state(), context.getParams().getJob());
  return with_job(id, [this, context, id](const core::State&, const core::Job* job) mutable {
    const std::string name = "job " + std::to_string(id.value);
    const auto refuse = [&context](Reason reason, std::string message) {
      write_refusal({reason, std::move(message)}, context.getResults().initRefusal());
    };
    if (job == nullptr) {
      write_refusal(no_job(id), context.getResults().initRefusal());
    } else if (job->active()) {
      refuse(Reason::kConflict,
             name + " has not finished; see: leat wait " + std::to_string(id.value));
    } else if (!job->result) {
      refuse(Reason::kConflict, name + " has no result: it ended as " + core::name_of(job->state));
    } else {
      auto place = context.getResults().initPlace();
      store::write_blob(job->result, place.initBlob());
      place.setAddress(store::text_of(services_.blob_store().address));
      transport::Hash hash{};
      std::memcpy(hash.data(), job->result->hash.data(), hash.size());
      const std::string ticket = services_.tickets.blob_for_user(id, hash, reader());
      place.setTicket(store::data_of(ticket));
    }
  });
}

kj::Promise<void> SchedulerServer::upload(UploadContext context) {
  const std::string ticket = services_.tickets.upload_for_user(reader());
  context.getResults().setAddress(store::text_of(services_.blob_store().address));
  context.getResults().setTicket(store::data_of(ticket));
  return kj::READY_NOW;
}

UserDoor::UserDoor(Services& services)
    : services_(services), sessions_(kSessionsMax, transport::kHeadLimits) {}

void UserDoor::accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream) {
  const bool opened = sessions_.open(
      kj::mv(stream),
      [this, &peer](Sessions::Id) -> capnp::Capability::Client {
        return schema::Scheduler::Client(kj::heap<SchedulerServer>(services_, peer.uid));
      },
      nullptr);
  if (!opened) services_.log("too many clients at once: one was turned away");
}

}  // namespace leat::wire
