// logs.cc - `leat logs`: what tasks wrote, read from their nodes or from leat-store.

#include <algorithm>

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/gang_follow.h"
#include "cli/head.h"
#include "cli/rank_lines.h"
#include "cli/task_output.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

// Tasks of one call: each is looked up and read by itself.
constexpr std::uint64_t kTasksMax = 10'000;
// The largest number that a rank may have.
constexpr std::uint64_t kRankMax = spool::kFirstSubtask - 1;

std::string name_of(JobId job, StageId stage, Index index) {
  return std::to_string(job.value) + '.' + (stage == 0 ? "" : std::to_string(stage) + '.') +
         std::to_string(index);
}

// Begins every line with the name of its task.
class LabelledLines {
 public:
  LabelledLines(Console& console, std::string label)
      : console_(console), label_(std::move(label) + ": ") {}

  void write(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
      if (at_start_) text += label_;
      const std::size_t end = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
      text += bytes.substr(0, end);
      at_start_ = text.back() == '\n';
      bytes.remove_prefix(end);
    }
    console_.out(text);
  }

  // A last line without its end gets one, or the next task's would go on in it.
  void finish() {
    if (!at_start_) console_.out("\n");
  }

 private:
  Console& console_;
  std::string label_;
  bool at_start_ = true;
};

class Logs final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("TASKS", name_,
                      "one task: 17.42, last.0, 17.1.3 in stage 1; several: 17.0-9; all: 17");
    arguments.flag("--stderr", error_, "standard error instead of standard output");
    arguments.flag("-f,--follow", follow_, "of one task: wait for its start, go on until it ends");
    arguments.option("--rank", "R", rank_text_, "of MPI tasks: only what rank R wrote");
    arguments.option("--subtask", "S", subtask_text_,
                     "of gangs: only what a subtask wrote: 1:0, application, coordination");
    arguments.flag("--label", label_,
                   "begin every line with the name of its task, or its [RANK] or [SUBTASK]");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_name(*name_));
    choose_speaker();
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    OutputWanted wanted;
    wanted.job = resolve_job(head, name);
    wanted.stage = name.stage;
    wanted.error = error_;
    wanted.follow = follow_;
    const bool one = name.names_task();
    const IndexList indices = name.indices.empty() ? ask_tasks(head, wanted) : name.indices;
    check_number(wanted, indices);
    TaskOutputs outputs(shell, head);
    for (const Index index : indices.expand()) {
      wanted.index = index;
      read_one(shell, head, outputs, wanted, one);
    }
    if (not_yet_ > 0)
      shell.console.talk("leat: " + std::to_string(not_yet_) +
                         " tasks have not run: see leat why " + std::to_string(wanted.job.value));
    return failed_ ? ExitCode::kWorkFailed : ExitCode::kDone;
  }

 private:
  void choose_speaker() {
    if (rank_text_ && subtask_text_)
      fail(ExitCode::kUsage, "--rank or --subtask: a subtask is no rank");
    if (rank_text_)
      only_ = Speaker{std::nullopt,
                      static_cast<std::uint32_t>(value_or_fail(
                          definitions::parse_number(*rank_text_, 0, kRankMax), "--rank "))};
    if (subtask_text_) only_ = value_or_fail(parse_subtask(*subtask_text_), "--subtask ");
  }

  static IndexList ask_tasks(Head& head, const OutputWanted& wanted) {
    const auto answer = head.ask([&wanted](schema::Scheduler::Client& client) {
      auto call = client.tasksRequest();
      call.setJob(wanted.job.value);
      call.setStage(wanted.stage);
      return call.send();
    });
    if (answer.hasRefusal()) fail(read_refusal(answer.getRefusal()));
    std::vector<Stride> strides;
    for (const auto stride : answer.getIndices())
      strides.push_back({stride.getFirst(), stride.getCount(), stride.getStep()});
    return value_or_fail(IndexList::from_strides(strides));
  }

  void check_number(const OutputWanted& wanted, const IndexList& indices) const {
    const std::string id = std::to_string(wanted.job.value);
    if (follow_ && indices.size() != 1)
      fail(ExitCode::kUsage, "-f follows one task: name it, like " + id + ".0");
    if (indices.size() > kTasksMax)
      fail(ExitCode::kUsage, std::to_string(indices.size()) + " tasks are more than the " +
                                 std::to_string(kTasksMax) + " of one call: name fewer, like " +
                                 id + ".0-99");
  }

  // Of several tasks, what is wrong with one does not hide the others.
  void read_one(Shell& shell, Head& head, TaskOutputs& outputs, const OutputWanted& wanted,
                bool alone) {
    const std::string name = name_of(wanted.job, wanted.stage, wanted.index);
    try {
      RankLines ranks(shell.console, {only_, label_, alone ? "" : name + ": "});
      const OutputFound found = follow_ ? follow_task(shell, head, outputs, wanted, ranks)
                                        : read_members(shell, outputs, wanted, name, ranks);
      ranks.finish();
      if (found == OutputFound::kCut)
        shell.console.talk("leat: the output " + (alone ? std::string() : "of " + name + ' ') +
                           "was longer and has been cut at its limit");
      if (found != OutputFound::kNotYet && only_ && !ranks.has_seen_any())
        shell.console.talk("leat: " + who() + " of " + name + " has written nothing" +
                           (rank_text_ ? "" : "; leat task show " + name + " lists subtasks"));
      if (found != OutputFound::kNotYet) return;
      if (alone)
        fail(ExitCode::kWorkFailed, "task " + name + " has not run yet: leat why " + name +
                                        " says why, leat logs -f waits for it");
      ++not_yet_;
    } catch (const Failure& failure) {
      if (alone || failure.code == ExitCode::kUnreachable) throw;
      shell.console.talk("leat: " + name + ": " + failure.message);
      failed_ = true;
    }
  }

  std::string who() const {
    return rank_text_ ? "rank " + *rank_text_ : "subtask " + *subtask_text_;
  }

  // Of the task's newest run.
  void check_speaker(const std::string& name, std::uint32_t members) const {
    if (only_ && members == 0)
      fail(ExitCode::kUsage, rank_text_
                                 ? "--rank: task " + name + " is no gang, it has no ranks"
                                 : "--subtask: task " + name + " is no gang, it has no subtasks");
    if (only_ && only_->member && *only_->member >= members)
      fail(ExitCode::kUsage, "--subtask " + *subtask_text_ + ": the members of " + name +
                                 " are 0 to " + std::to_string(members - 1) + ": leat task show " +
                                 name + " lists subtasks");
  }

  OutputFound follow_task(Shell& shell, Head& head, TaskOutputs& outputs,
                          const OutputWanted& wanted, RankLines& ranks) {
    const std::string name = name_of(wanted.job, wanted.stage, wanted.index);
    const std::uint32_t members = outputs.await_start(wanted);
    check_speaker(name, members);
    if (members == 0) return read_members(shell, outputs, wanted, name, ranks);
    GangFollow gang(shell, head, wanted, members,
                    [&ranks](std::uint32_t member, std::uint32_t frame, std::string_view content) {
                      ranks.take(member, frame, content);
                    });
    const OutputFound found = gang.run();
    failed_ = failed_ || gang.has_lost_some();
    return found;
  }

  // Of a task that is no gang, its output; of a gang, what each member wrote, one after the other.
  OutputFound read_members(Shell& shell, TaskOutputs& outputs, OutputWanted wanted,
                           const std::string& name, RankLines& ranks) {
    LabelledLines lines(shell.console, name);
    OutputFound found = OutputFound::kWhole;
    if (only_ && !follow_) {
      const std::optional<std::uint32_t> members = outputs.find_members(wanted);
      if (!members) return OutputFound::kNotYet;
      check_speaker(name, *members);
    }
    const bool one_member = only_ && only_->member;
    const std::uint32_t first = one_member ? *only_->member : 0;
    for (wanted.member = first;
         wanted.member == first || (!one_member && wanted.member < outputs.members());
         ++wanted.member) {
      spool::RankFrameReader frames(
          [&ranks, member = wanted.member](std::uint32_t frame, std::string_view content) {
            ranks.take(member, frame, content);
          });
      const auto sink = [&](std::string_view bytes) {
        if (outputs.members() > 0) return frames.feed(bytes);
        if (label_) return lines.write(bytes);
        shell.console.out(bytes);
      };
      const OutputFound one = read_member(shell, outputs, wanted, name, sink);
      if (one == OutputFound::kNotYet) return one;
      if (one == OutputFound::kCut) found = one;
      frames.finish();
    }
    if (label_) lines.finish();
    return found;
  }

  // What is lost of one member of a gang does not hide the others.
  OutputFound read_member(Shell& shell, TaskOutputs& outputs, const OutputWanted& wanted,
                          const std::string& name, const OutputSink& sink) {
    try {
      return outputs.read(wanted, sink);
    } catch (const Failure& failure) {
      if (outputs.members() < 2 || failure.code != ExitCode::kWorkFailed) throw;
      shell.console.talk("leat: " + name + ": " + failure.message);
      failed_ = true;
      return OutputFound::kWhole;
    }
  }

  std::optional<std::string> name_, rank_text_, subtask_text_;
  std::optional<Speaker> only_;
  bool error_ = false;
  bool follow_ = false;
  bool label_ = false;
  bool failed_ = false;
  std::uint64_t not_yet_ = 0;
};

constexpr std::string_view kLogsDetails =
    R"(Prints what a task wrote, byte for byte, read from the node it ran on, or from
leat-store when that node is gone; of a task that ran several times, the last
attempt's. Several tasks are printed one after the other, in the order of their
indices. What the ranks of an MPI task wrote, or the subtasks of a gang, comes node by
node, with -f as it is written; lines stay whole.

  leat logs 17.42
  leat logs last.0 --stderr -f
  leat logs 17 --label
  leat logs last.0 --rank 3
  leat logs last.0 --subtask 1:0)";

}  // namespace

const CommandEntry kLogs{"logs", "print what tasks wrote", kLogsDetails, build_command<Logs>};

}  // namespace leat::cli
