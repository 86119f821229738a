// job_fields.cc - what may be said of a job: the one table for options and files.

#include <algorithm>
#include <array>

#include "definitions/job_definition.h"

namespace leat::definitions {
namespace {

using Kind = FieldKind;

constexpr auto kFields = std::to_array<JobField>({
    {"array", "RANGE", "one task per index: 1-100, 0-99:3, 1,5,9-12", Kind::kText},
    {"each-line", "FILE", "one task per line of FILE (\"-\": standard input), given on its stdin",
     Kind::kText},
    {"chunk", "N", "with --each-line: N lines per task", Kind::kNumber},
    {"each-file", "GLOB", "one task per file that matches: its name is LEAT_INPUT and {} in ARGS",
     Kind::kTexts},
    {"from-json", "FILE",
     "one task per JSON object, a line each: on its stdin, LEAT_INPUT, {field} in ARGS",
     Kind::kText},
    {"stdin", "FILE", "every task reads FILE on its standard input", Kind::kText},
    {"pool", "POOL", "run in this pool (default: any)", Kind::kText},
    {"name", "NAME", "the job's name (default: the program's)", Kind::kText},
    {"cpus", "N", "cores per task, like 2 or 0.5 (default: 1)", Kind::kAmount},
    {"memory", "SIZE", "memory per task, like 512M or 2G", Kind::kAmount},
    {"memory-enforce", "", "run only where the kernel keeps a task within its --memory",
     Kind::kFlag},
    {"gpus", "N", "gpus per task", Kind::kNumber},
    {"resource", "NAME=N", "so much of what a pool counts under NAME, per task", Kind::kTexts},
    {"requires", "LABELS", "only nodes with these labels: fast,rack=7,!slow", Kind::kTexts},
    {"exclusive", "", "each task has its node to itself", Kind::kFlag},
    {"pack", "", "fill nodes one after the other", Kind::kFlag},
    {"spread", "", "share the tasks out over the nodes", Kind::kFlag},
    {"nodes", "N", "each task runs on N nodes at once (with --mpi or --gang)", Kind::kNumber},
    {"ranks-per-node", "K", "ranks on each node, or a list, one for each node: 4,3,3",
     Kind::kAmount},
    {"ranks", "R", "ranks in all (default: one per node)", Kind::kNumber},
    {"cores-per-rank", "C", "cores of each rank (default: 1)", Kind::kNumber},
    {"mpi", "required|pmi1", "start each task as ranks of an MPI program, without mpirun",
     Kind::kChoice},
    {"gang", "", "run PROGRAM on the first of the nodes only: for mpirun and its like",
     Kind::kFlag},
    {"coordination", "PROG", "PROG must end well on every node before PROGRAM starts", Kind::kText},
    {"coordination-arg", "A", "an argument of PROG", Kind::kTexts},
    {"bind-to", "core|numa|socket", "what a rank is bound to (default: core)", Kind::kText},
    {"mpi-interfaces", "LIST", "over which ranks talk: eth0,10.0.0.0/8", Kind::kText},
    {"retries", "N", "try a failed task again, up to N times", Kind::kNumber},
    {"retry-delay", "D[,F[,MAX]]", "wait D before that, F times as long each time, at most MAX",
     Kind::kText},
    {"retry-on", "CODES", "only after these: exit codes, signals, time-limit, out-of-memory",
     Kind::kText},
    {"time", "LIMIT", "wall-clock limit of a task: 90s, 1h30m, 01:30:00", Kind::kText},
    {"signal", "SIG@D", "send a task SIG so long before its --time is over: USR1@30s", Kind::kText},
    {"after", "JOB[:WHEN]", "start after JOB's success, failure or any end; /element: task by task",
     Kind::kTexts},
    {"start-within", "D", "skip the job if it has not started within D", Kind::kText},
    {"priority", "P", "higher goes first (default: 0)", Kind::kNumber},
    {"bind", "compact|spread|none",
     "bind each task to cores of its own; with --mpi: how its ranks are", Kind::kChoice},
    {"env", "NAME=VALUE", "set a variable of the tasks' environment", Kind::kVariables},
    {"env-from-file", "FILE", "set the variables in FILE, a line NAME=VALUE each", Kind::kTexts},
    {"export", "LIST", "of this environment: all (default), none, or NAME,NAME…", Kind::kText},
    {"cwd", "DIR", "the tasks' directory (default: this one)", Kind::kText},
    {"output-limit", "SIZE", "keep at most SIZE of a task's output (default: 1G)", Kind::kAmount},
    {"output-dir", "DIR", "put each task's output into DIR, too, as JOB.INDEX.out and .err",
     Kind::kText},
    {"task-dir", "", "a scratch directory for each task", Kind::kFlag},
    {"reduce", "PROG", "feed all outputs, in index order, to PROG; its output is the result",
     Kind::kText},
    {"reduce-arg", "A", "an argument of PROG", Kind::kTexts},
    {"reduce-width", "K", "reduce as a tree, K outputs at a time; PROG must accept its own output",
     Kind::kNumber},
});

}  // namespace

std::vector<std::string> choices_of(const JobField& field) {
  std::vector<std::string> words;
  if (field.kind != FieldKind::kChoice) return words;
  for (std::size_t from = 0; from <= field.metavar.size();) {
    const std::size_t end = std::min(field.metavar.find('|', from), field.metavar.size());
    words.emplace_back(field.metavar.substr(from, end - from));
    from = end + 1;
  }
  return words;
}

std::string key_of(std::string_view name) {
  std::string key(name);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

std::string called_beside(const Word& word, std::string_view field) {
  const bool option = word.where.rfind("--", 0) == 0;
  return option ? "--" + std::string(field) : key_of(field);
}

std::span<const JobField> job_fields() {
  return kFields;
}

}  // namespace leat::definitions
