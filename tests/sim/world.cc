#include "tests/sim/world.h"

#include <capnp/message.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "node-agent/agent_codec.h"
#include "scheduler/store/spec_codec.h"
#include "tests/sim/bytes.h"
#include "tests/sim/stages.h"

namespace leat::sim {
namespace {

std::string text_of(const RunId& run) {
  return std::to_string(run.job.value) + "." + std::to_string(run.stage) + "." +
         std::to_string(run.index) + " attempt " + std::to_string(run.attempt);
}

std::string fresh_directory() {
  std::string path = (std::filesystem::temp_directory_path() / "leat-sim-XXXXXX").string();
  LEAT_CHECK(::mkdtemp(path.data()) != nullptr);
  return path;
}

}  // namespace

void Evidence::launched(NodeRef node, const RunId& run, bool first) {
  ++launches_;
  launched_on_[run].insert(node);
  if (!first)
    complain("run " + text_of(run) + " was launched twice on node " +
             std::to_string(node.id.value));
}

std::uint64_t Evidence::successes(JobId job, StageId stage, Index index) const {
  const auto at = successes_.find({job, stage, 0, index});
  return at == successes_.end() ? 0 : at->second;
}

bool Evidence::ended_well_on(JobId job, StageId stage, Index index, std::size_t nodes) const {
  for (auto at = ended_well_.lower_bound({job, stage, 0, 0}); at != ended_well_.end(); ++at) {
    const RunId& run = at->first;
    if (run.job != job || run.stage != stage) return false;
    if (run.index == index && at->second.size() == nodes) return true;
  }
  return false;
}

World::World(const Plan& plan)
    : plan_(plan),
      random_(plan.seed),
      disk_(events_, random_, plan.mutant == Mutant::kAcknowledgeEarly),
      directory_(fresh_directory()),
      network_(*this),
      provider_(*this) {
  // It says how many nodes there may be at all.
  if (plan_.walk) walk_ = std::make_unique<PoolWalk>(*this);
  auto signer = transport::TicketSigner::open(directory_);
  LEAT_CHECK(signer.ok());
  signer_ = std::make_unique<transport::TicketSigner>(std::move(signer).value());
  for (std::size_t n = 0; n < plan_.jobs; ++n) {
    User user;
    user.key = "user-" + std::to_string(n);
    user.spec = make_job(n);
    user.tasks = user.spec.stages[0].indices.size();
    user.cancels = n % 6 == 5;
    user.waits = plan_waits(n, random_);
    // Task by task both have the same indices.
    if (user.waits.after_user && user.waits.after.element_wise) {
      user.spec = users_[*user.waits.after_user].spec;
      user.tasks = users_[*user.waits.after_user].tasks;
    }
    users_.push_back(std::move(user));
    const auto when =
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(plan_.chaos.count())));
    events_.after(Duration(when), [this, n] { submit(n); });
    if (const auto from = users_.back().waits.held_from) {
      events_.after(Duration(when) + *from, [this, n] { hold(n, false); });
      events_.after(Duration(when) + *from + users_.back().waits.held_for,
                    [this, n] { hold(n, true); });
    }
    if (users_.back().cancels) events_.after(Duration(when + 3'000'000), [this, n] { cancel(n); });
  }
  if (plan_.gangs) gang_watch_ = std::make_unique<GangWatch>(*this);
  start_head();
  schedule_faults();
}

World::~World() {
  head_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

namespace {

// Jobs of every kind meet: of those that want something of their nodes, all nodes have it.
void add_wishes(schema::JobSpec::Builder job, std::size_t n) {
  auto resources = job.getStages()[0].getMembers()[0].getResources();
  if (n % 5 == 1) resources.setGpus(1);
  if (n % 5 == 2) {
    auto counter = resources.initCounters(1)[0];
    counter.setName("licence");
    counter.setAmount(1);
  }
  if (n % 7 == 3) job.setExclusive(true);
  if (n % 3 == 1) {
    job.initRequires(2).set(0, "sim");
    job.getRequires().set(1, "!cores=9");
  }
  if (n % 4 == 2) job.setPlacement(schema::Placement::SPREAD);
}

// Every other job is one of gangs; most have limits, which their tasks keep.
void add_gangs(schema::JobSpec::Builder job, std::size_t n, std::uint32_t nodes) {
  auto stage = job.getStages()[0];
  if (n % 4 != 3) stage.setTimeLimitUs(2'500'000);
  if (n % 2 == 1) return;
  stage.getMembers()[0].setCount(nodes);
  stage.getMembers()[0].setSpread(schema::Member::Spread::DISTINCT_NODES);
  // Half of them want nodes with one Open MPI, of which there are two about.
  stage.initGang().setLaunch(n % 4 == 0 ? schema::GangSpec::Launch::MPI
                                        : schema::GangSpec::Launch::APPLICATION);
}

}  // namespace

core::JobSpec World::make_job(std::size_t n) {
  capnp::MallocMessageBuilder message;
  auto job = message.initRoot<schema::JobSpec>();
  job.setName("job " + std::to_string(n));
  job.setPriority(static_cast<std::int32_t>(random_.below(3)));
  if (plan_.stages) return make_pipeline(job, plan_, random_);
  std::vector<std::uint64_t> sizes{1 + random_.below(plan_.tasks_max)};
  const bool reduces = n % 2 == 0;
  const std::uint64_t width = 2 + random_.below(12);
  while (reduces && (sizes.size() == 1 || sizes.back() > 1))
    sizes.push_back((sizes.back() - 1) / width + 1);
  auto stages = job.initStages(static_cast<unsigned>(sizes.size()));
  for (unsigned s = 0; s < sizes.size(); ++s) {
    write_stage(stages[s], sizes[s], random_);
    if (s == 0) continue;
    auto outputs = stages[s].getInputs().initOutputs();
    outputs.setStage(static_cast<StageId>(s - 1));
    outputs.setWidth(width);
  }
  add_wishes(job, n);
  if (plan_.gangs) {
    const std::uint64_t nodes = walk_ == nullptr ? 3 : walk_->first_max();
    add_gangs(job, n,
              1 + static_cast<std::uint32_t>(random_.below(std::min<std::uint64_t>(nodes, 3))));
  }
  if (reduces) job.setResultStage(static_cast<std::int32_t>(sizes.size()) - 1);
  auto spec = store::read_job_spec(job.asReader());
  if (!spec.ok()) std::fprintf(stderr, "sim: %s\n", spec.refusal().message.c_str());
  LEAT_CHECK(spec.ok());
  return std::move(spec).value();
}

Node* World::node(NodeRef ref) {
  const auto at = nodes_.find(ref);
  return at == nodes_.end() || !at->second->alive() ? nullptr : at->second.get();
}

Duration World::task_length(const RunId& run) {
  check_order(run);
  // Short and long jobs; every task of its own length.
  const std::uint64_t scale = run.job.value % 3 == 0 ? 2'000'000 : 50'000;
  return Duration(500 + static_cast<std::int64_t>(random_.below(scale)));
}

bool World::task_fails(const RunId& run) {
  if (plan_.stages && is_doomed(run)) return true;
  return run.attempt <= 3 && random_.chance(3);
}

agent::BlobRef World::store(const Coverage& result) {
  results_.push_back(result);
  agent::BlobRef blob;
  const std::uint64_t number = results_.size();
  for (std::size_t n = 0; n < 8; ++n)
    blob.hash[n] = static_cast<std::byte>((number >> (8 * n)) & 0xff);
  blob.length = 1;
  return blob;
}

core::PoolSpec World::make_pool() const {
  core::PoolSpec pool;
  pool.name = walk_ == nullptr ? "sim" : PoolWalk::name();
  pool.provider = "local";
  pool.nodes = plan_.nodes;
  pool.join_deadline = Duration(20'000'000);
  if (walk_ == nullptr) return pool;
  pool.nodes = {walk_->first_min(), walk_->first_max()};
  pool.idle_timeout = Duration(4'000'000);
  // Where it is not declared, the first node tells.
  if (plan_.seed % 3 != 0) pool.shape = core::Resources{2000, 0, 1, {{"licence", 2}}};
  pool.labels = {"sim"};
  return pool;
}

void World::machine_made(NodeRef ref) {
  const auto cores = walk_ != nullptr ? 2 : static_cast<std::uint32_t>(1 + random_.below(4));
  nodes_[ref] = std::make_unique<Node>(*this, ref, cores);
  if (walk_ != nullptr) walk_->machine_made();
}

void World::about_to_destroy(NodeRef ref) {
  if (walk_ != nullptr) walk_->about_to_destroy(ref);
}

void World::start_head() {
  LEAT_CHECK(head_ == nullptr);
  ++head_life_;
  head_ = std::make_unique<Head>(events_, disk_, *signer_, provider_, random_);
  if (!head_->state().pools().empty()) return;
  head_->ask(core::SetPool{"pool", {}, make_pool()},
             [](const Result<core::Answer>& answer) { LEAT_CHECK(answer.ok()); });
}

void World::kill_head() {
  if (head_ == nullptr) return;
  facts_ += head_->engine().facts_written();
  disk_.crash();
  head_.reset();
  network_.cut_all();
  const Duration away(100'000 + static_cast<std::int64_t>(random_.below(3'000'000)));
  events_.after(away, [this] { start_head(); });
}

void World::schedule_faults() {
  const Duration pause(100'000 + static_cast<std::int64_t>(random_.below(3'000'000)));
  events_.after(pause, [this] {
    if (!chaos_) return;
    one_fault();
    schedule_faults();
  });
}

void World::one_fault() {
  const std::uint64_t kind = random_.below(10);
  if (kind < 2) {
    kill_head();
    return;
  }
  std::vector<Node*> alive;
  for (auto& [ref, node] : nodes_)
    if (node->alive()) alive.push_back(node.get());
  if (alive.empty()) return;
  Node& victim = *alive[random_.below(alive.size())];
  if (kind < 5) {
    kill_agent(victim);
  } else if (kind < 7) {
    kill_node(victim);
  } else if (kind < 9) {
    // Out of reach for a while: longer than the head waits, or than a lease, now and then.
    const Duration away(static_cast<std::int64_t>(random_.below(40'000'000)));
    victim.isolate(events_.now() + away);
  } else if (victim.connection() != 0) {
    network_.cut(victim.connection());
  }
}

void World::kill_agent(Node& node) {
  if (!node.agent_alive()) return;
  ++agents_killed_;
  node.kill_agent();
  const Duration away(100'000 + static_cast<std::int64_t>(random_.below(8'000'000)));
  events_.after(away, [&node] { node.start_agent(); });
}

void World::kill_node(Node& node) {
  ++nodes_killed_;
  node.die();
}

void World::strike(Node& node) {
  const std::uint64_t whom = random_.below(4);
  if (whom < 2) return kill_agent(node);
  if (whom < 3) return kill_head();
  kill_node(node);
}

void World::submit(std::size_t n) {
  User& user = users_[n];
  if (user.job && !chaos_) return;
  // No answer in time: ask again with the same key, as the command line does.
  if (!user.job) events_.after(Duration(1'000'000), [this, n] { submit(n); });
  if (head_ == nullptr || !head_->ready() || !prepare(n)) return;
  head_->ask(core::Submit{user.key, {}, user.spec, {}},
             [this, n](const Result<core::Answer>& answer) {
               if (!answer.ok()) return refused(n, answer.refusal());
               const JobId job = std::get<JobId>(answer.value());
               User& asked = users_[n];
               if (asked.job && *asked.job != job)
                 evidence_.complain(asked.key + ": one key, two jobs");
               asked.job = job;
             });
}

void World::cancel(std::size_t n) {
  const User& user = users_[n];
  if (head_ == nullptr || !head_->ready() || !user.job) {
    events_.after(Duration(1'000'000), [this, n] { cancel(n); });
    return;
  }
  head_->ask(core::Cancel{user.key + "-cancel", {}, *user.job, 0, {}}, [](const auto&) {});
}

bool World::all_over() {
  if (head_ == nullptr || !head_->ready()) return false;
  return std::all_of(users_.begin(), users_.end(), [this](const User& user) {
    const core::Job* job = user.job ? head_->state().job(*user.job) : nullptr;
    return user.job && (job == nullptr || !job->active());
  });
}

std::vector<std::string> World::run() {
  const Time chaos_end = Time{} + plan_.chaos;
  while (events_.now() < chaos_end && events_.step()) {
    if (head_ != nullptr) head_->state().check_invariants();
  }
  chaos_ = false;
  for (auto& [ref, node] : nodes_) {
    node->isolate(Time{});
    if (node->booted()) node->start_agent();
  }
  if (walk_ != nullptr) walk_->calm();
  const Time deadline = events_.now() + plan_.heal;
  while (!all_over() && events_.now() < deadline && events_.step()) {
  }
  check_books();
  return evidence_.complaints();
}

void World::make_fresh(core::ReportEnded& report) {
  for (core::EndedSet& set : report.ended) {
    const core::Stage* stage = head_->state().stage(set.runs.stage);
    if (stage == nullptr) continue;
    const auto position = stage->spec->indices.position_of(set.runs.indices.at(0));
    if (!position) continue;
    const core::TaskCell& cell = stage->cells.at(*position);
    const core::Node* node = head_->state().node(cell.node);
    if (cell.state != core::TaskState::kPlaced || node == nullptr) continue;
    if (cell.attempt == set.runs.attempt) continue;
    set.runs.attempt = cell.attempt;
    report.node = node->ref;
    report.session = node->session;
  }
}

void World::replay_old_start(Node& node, const std::string& bytes) {
  const Message message(bytes);
  const auto batch = message.root<schema::StartBatch>();
  std::string& old = old_starts_[node.ref()];
  if (batch.getSequence() == 1 && !old.empty()) {
    const Message old_message(old);
    capnp::MallocMessageBuilder patched;
    patched.setRoot(old_message.root<schema::StartBatch>());
    auto forged = patched.getRoot<schema::StartBatch>();
    forged.setHeadEpoch(batch.getHeadEpoch());
    forged.setSession(batch.getSession());
    forged.setSequence(0);
    node.start(bytes_of(forged.asReader()));
  }
  old = bytes;
}

World::Figures World::figures() const {
  return {head_life_,           agents_killed_,
          nodes_killed_,        disk_.seals(),
          evidence_.launches(), facts_ + (head_ == nullptr ? 0 : head_->engine().facts_written()),
          provider_.made(),     evacuations_};
}

}  // namespace leat::sim
