#include "node-agent/warden_runner.h"

#include <kj/debug.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "base/check.h"
#include "node-agent/rank_binding.h"
#include "node-agent/run_outcome.h"
#include "node-agent/task_environment.h"
#include "node-agent/task_words.h"

namespace leat::agent {
namespace {

std::uint32_t cpus_of(const StageSpec& spec) {
  return std::max<std::uint32_t>(1, (spec.resources.millicores + 999) / 1000);
}

// What the kernel says a process is bound to.
std::vector<std::uint32_t> processors_of(pid_t pid) {
  std::vector<std::uint32_t> processors;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (pid <= 0 || ::sched_getaffinity(pid, sizeof set, &set) != 0) return processors;
  for (std::uint32_t i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  return processors;
}

}  // namespace

WardenRunner::WardenRunner(WardenRunnerOptions options, Topology& topology, Outputs& outputs,
                           GangFiles& gangs, RunnerEvents& events)
    : options_(std::move(options)),
      topology_(topology),
      outputs_(outputs),
      gangs_(gangs),
      events_(events),
      scratch_(options_.directory),
      gpus_(options_.gpus),
      tasks_(*this) {
  clean_scratch();
  auto paf = kj::newPromiseAndFulfiller<void>();
  adoption_ = kj::mv(paf.fulfiller);
  adopted_ = paf.promise.fork();
}

void WardenRunner::set_link(kj::Own<WardenLink> link) {
  link_ = kj::mv(link);
  if (!backlog_.empty()) tasks_.add(kj::evalLater([this]() { return drain(); }));
}

void WardenRunner::shut_down() {
  put(warden::Shutdown{});
}

void WardenRunner::taskFailed(kj::Exception&&) {
  // The link is lost: its on_lost() is heard elsewhere and ends the process.
}

// In order: what comes after a command that waits for room waits, too.
void WardenRunner::put(warden::Command command) {
  if (link_.get() != nullptr && backlog_.empty() && link_->put(command)) return;
  backlog_.push_back(std::move(command));
  if (link_.get() != nullptr && backlog_.size() == 1)
    tasks_.add(link_->when_room().then([this]() { return drain(); }));
}

kj::Promise<void> WardenRunner::drain() {
  while (!backlog_.empty()) {
    if (!link_->put(backlog_.front())) return link_->when_room().then([this]() { return drain(); });
    backlog_.pop_front();
  }
  return kj::READY_NOW;
}

void WardenRunner::stage(const StartSet& set) {
  const StageRef ref = set.runs.stage;
  const auto found = templates_.find(ref);
  if (found != templates_.end()) return;
  Template entry;
  entry.id = next_template_++;
  entry.set.runs.stage = ref;
  entry.set.spec = set.spec;
  entry.set.task_count = set.task_count;
  entry.checkpoints = own_checkpoints(*set.spec);
  entry.age = oldest_first_.insert(oldest_first_.end(), ref);
  templates_.emplace(ref, std::move(entry));
}

bool WardenRunner::send_template(Template& entry) {
  oldest_first_.splice(oldest_first_.end(), oldest_first_, entry.age);
  if (entry.known) return true;
  warden::Template command;
  command.id = entry.id;
  const std::vector<std::string>& argv = entry.set.spec->program.argv;
  // Where each task has arguments of its own, they come with its launch.
  const std::size_t shared = has_own_words(*entry.set.spec) ? 1 : argv.size();
  const bool gang = entry.set.spec->gang.has_value();
  if (gang) command.arguments.add(options_.launcher);
  for (std::size_t i = 0; i < shared && !gang; ++i) command.arguments.add(argv[i]);
  command.environment =
      stage_environment(entry.set, {options_.pool, options_.node.id, options_.progress_socket});
  command.directory = entry.set.spec->program.directory;
  if (!WardenLink::fits(command)) return false;
  // The oldest that the warden holds stands before all it does not: they are used in this order.
  if (templates_known_ >= kTemplatesKept) {
    for (const StageRef& ref : oldest_first_) {
      Template& oldest = templates_.at(ref);
      if (!oldest.known) continue;
      put(warden::Forget{oldest.id});
      oldest.known = false;
      --templates_known_;
      break;
    }
  }
  put(std::move(command));
  entry.known = true;
  ++templates_known_;
  return true;
}

warden::Launch WardenRunner::to_launch(const RunOrder& order, const Template& entry) {
  const StageSpec& spec = *entry.set.spec;
  warden::Launch launch;
  launch.run = order.launch.run;
  launch.template_id = entry.id;
  launch.slot = order.launch.slot;
  launch.segment = outputs_.index().segment_for(order.launch.slot);
  launch.time_limit_us = static_cast<std::uint64_t>(spec.time_limit.count());
  launch.grace_us = static_cast<std::uint64_t>(spec.grace.count());
  launch.warning_signal = spec.warning_signal;
  launch.warning_us = static_cast<std::uint64_t>(spec.warning_before.count());
  launch.output_limit_bytes = spec.program.output_limit_bytes;
  launch.stdin_path = order.stdin_path;
  const std::string scratch =
      scratch_.prepare(launch.run, launch.slot, spec.program.task_directory);
  clean_scratch();
  if (spec.program.directory.empty()) launch.directory = scratch;
  TaskShare share{cpus_of(spec), scratch,
                  scratch_.checkpoint_directory(launch.run, entry.checkpoints), std::nullopt};
  if (gpus_.size() > 0) {
    const auto given = gpus_of_.find(launch.run);
    launch.gpu_mask = given == gpus_of_.end() ? 0 : given->second;
    share.gpus = gpus_.list(launch.gpu_mask);
  }
  launch.more_environment = task_environment(launch.run, share, spec.inputs.use, order.text);
  launch.memory_limit_bytes = spec.resources.memory_bytes;
  const bool gang_binds = spec.gang && spec.gang->bind != GangSpec::Bind::kNone;
  if (spec.program.bind_cores || gang_binds) bind(spec, launch);
  return launch;
}

void WardenRunner::bind(const StageSpec& spec, warden::Launch& launch) {
  const std::vector<std::uint32_t> processors = topology_.take_cores(cpus_of(spec));
  for (const std::uint32_t processor : processors)
    if (processor < warden::CpuMask::kCpusMax) launch.cpus.add(processor);
  if (!processors.empty()) bound_[launch.run] = processors;
}

bool WardenRunner::lead_gang(const RunOrder& order, std::vector<std::string> words,
                             warden::Launch& launch) {
  const StageSpec& spec = *order.launch.spec;
  MemberLaunch member;
  member.program = std::move(words);
  member.node_cpus = cpus_of(spec);
  member.directory = spec.program.directory.empty() ? launch.directory : spec.program.directory;
  const std::size_t ranks = gangs_.ranks_here(launch.run, *spec.gang);
  const auto bound = bound_.find(launch.run);
  if (bound != bound_.end())
    member.cpus = bind_ranks(*spec.gang, ranks, topology_.sites_of(bound->second));
  const Result<std::string> file = gangs_.write(launch.run, spec, member);
  if (!file.ok()) {
    options_.say("a gang cannot be started: " + file.refusal().message);
    return false;
  }
  launch.more_arguments.add("--gang");
  launch.more_arguments.add(file.value());
  return true;
}

// What tasks left behind goes a little in each turn of the loop.
void WardenRunner::clean_scratch() {
  if (scratch_.is_clean() || std::exchange(cleaning_, true)) return;
  tasks_.add(kj::evalLast([this]() {
    cleaning_ = false;
    scratch_.clean_step();
    clean_scratch();
  }));
}

void WardenRunner::start(const RunOrder& order) {
  const auto found = templates_.find(stage_of(order.launch.run));
  LEAT_CHECK(found != templates_.end());
  if (!send_template(found->second)) return fail(order.launch.run, Outcome::kCouldNotStart, E2BIG);
  if (const std::uint32_t wanted = found->second.set.spec->resources.gpus; wanted > 0) {
    // The core counts them; but runs adopted without their stage are not in its count.
    const std::optional<std::uint64_t> given = gpus_.take(wanted);
    if (!given) return fail(order.launch.run, Outcome::kWithdrawn, 0);
    gpus_of_[order.launch.run] = *given;
  }
  warden::Launch launch = to_launch(order, found->second);
  const bool gang = order.launch.spec->gang.has_value();
  std::vector<std::string> argv;
  if (gang) argv = order.launch.spec->program.argv;
  if (has_own_words(*order.launch.spec)) {
    const Result<std::vector<std::string>> words = words_of(*order.launch.spec, order.text);
    if (!words.ok()) return fail(order.launch.run, Outcome::kCouldNotStart, EINVAL);
    argv.resize(gang ? 1 : 0);
    argv.insert(argv.end(), words.value().begin(), words.value().end());
  }
  if (!gang)
    for (const std::string& word : argv) launch.more_arguments.add(word);
  else if (!lead_gang(order, std::move(argv), launch))
    return fail(order.launch.run, Outcome::kCouldNotStart, EADDRNOTAVAIL);
  outputs_.launched(launch.run);
  if (!WardenLink::fits(launch)) return fail(launch.run, Outcome::kCouldNotStart, E2BIG);
  put(std::move(launch));
}

// Answers for a run that the warden never hears of.
void WardenRunner::fail(const RunId& run, Outcome outcome, std::int32_t code) {
  tasks_.add(kj::evalLater([this, run, outcome, code]() {
    RunEnd end;
    end.run = run;
    end.result.outcome = outcome;
    end.result.code = code;
    free_devices(run);
    events_.on_run_end(end);
  }));
}

void WardenRunner::free_devices(const RunId& run) {
  if (const auto bound = bound_.extract(run); !bound.empty()) topology_.free_cores(bound.mapped());
  if (const auto given = gpus_of_.extract(run); !given.empty()) gpus_.give_back(given.mapped());
}

void WardenRunner::end(const RunId& run, Duration grace) {
  put(warden::End{run, static_cast<std::uint64_t>(grace.count())});
}

void WardenRunner::confirm(const RunId& run) {
  put(warden::Confirm{run});
}

void WardenRunner::forget(JobId job) {
  const auto first = templates_.lower_bound(StageRef{job, 0});
  auto last = first;
  for (; last != templates_.end() && last->first.job == job; ++last) {
    if (last->second.known) {
      put(warden::Forget{last->second.id});
      --templates_known_;
    }
    oldest_first_.erase(last->second.age);
  }
  templates_.erase(first, last);
  scratch_.forget(job);
  clean_scratch();
}

void WardenRunner::on_event(const warden::Event& event) {
  if (const auto* running = std::get_if<warden::Running>(&event)) return on_running(*running);
  if (const auto* exited = std::get_if<warden::Exited>(&event)) return on_exited(*exited);
  if (!adopting_) return;
  adopting_ = false;
  events_.on_adopted(dump_running_);
  for (const RunEnd& end : std::exchange(dump_ended_, {})) events_.on_run_end(end);
  dump_running_.clear();
  adoption_->fulfill();
}

void WardenRunner::on_running(const warden::Running& running) {
  if (running.phase != warden::RunPhase::kWaiting)
    outputs_.live(running.run, {running.slot,
                                running.segment,
                                {running.out_offset, 0, false},
                                {running.err_offset, 0, false}});
  if (!adopting_) return;
  dump_running_.push_back({running.run, running.slot});
  if (running.gpu_mask != 0) {
    gpus_.claim(running.gpu_mask);
    gpus_of_[running.run] = running.gpu_mask;
  }
  // Only a mask that we gave is smaller than our own.
  const std::vector<std::uint32_t> processors = processors_of(running.pid);
  if (topology_.may_bind() && !processors.empty() && processors != processors_of(::getpid())) {
    topology_.claim_cores(processors);
    bound_[running.run] = processors;
  }
}

void WardenRunner::on_exited(const warden::Exited& exited) {
  const std::uint32_t floor = link_.get() == nullptr ? 0 : link_->floor_kib();
  RunEnd end = to_run_end(exited, floor);
  free_devices(exited.run);
  if (adopting_) {
    dump_ended_.push_back(end);
    return;
  }
  events_.on_run_end(end);
}

}  // namespace leat::agent
