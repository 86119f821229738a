#include "cli/job_gang.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <span>

#include "cli/failure.h"
#include "cli/program_check.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using definitions::called_beside;
using definitions::JobDefinition;
using definitions::Word;
using Launch = schema::GangSpec::Launch;

constexpr std::uint64_t kCoresPerRankMax = 4'096;
// A list that is proposed in a refusal is not longer than this.
constexpr std::uint64_t kProposedMax = 8;

[[noreturn]] void refuse(const Word& word, const std::string& what) {
  const std::string value = word.text.empty() ? "" : ' ' + word.text;
  fail(ExitCode::kUsage, word.where + value + ": " + what);
}

std::uint64_t read_number(const Word& word, std::string_view text, std::uint64_t max) {
  return value_or_fail(definitions::parse_number(text, 1, max), word.where + ' ');
}

std::optional<std::uint64_t> number_of(const JobDefinition& job, std::string_view field,
                                       std::uint64_t max) {
  const Word* const word = job.find(field);
  if (word == nullptr) return std::nullopt;
  return read_number(*word, word->text, max);
}

// Which of `choices` a word is; the first if it is empty, or there is none.
template <typename Enum>
Enum choice_of(const Word* word, std::span<const std::string_view> choices) {
  if (word == nullptr || word->text.empty()) return Enum{};
  const auto found = std::find(choices.begin(), choices.end(), word->text);
  if (found != choices.end()) return static_cast<Enum>(found - choices.begin());
  std::string known;
  for (const std::string_view choice : choices)
    if (!choice.empty()) known += (known.empty() ? "" : ", ") + std::string(choice);
  fail(ExitCode::kUsage, word->where + " \"" + word->text + "\" is none of " + known);
}

// What makes no sense for a task that is no gang.
void refuse_without_gang(const JobDefinition& job) {
  const std::optional<std::uint64_t> nodes = number_of(job, "nodes", kGangNodesMax);
  if (nodes.value_or(1) > 1) {
    const Word& word = *job.find("nodes");
    refuse(word, "give " + called_beside(word, "mpi") + " or " + called_beside(word, "gang") +
                     " too, it says what runs on them");
  }
  for (const std::string_view field : {"ranks-per-node", "ranks", "cores-per-rank", "coordination",
                                       "coordination-arg", "bind-to", "mpi-interfaces"}) {
    if (const Word* const word = job.find(field))
      refuse(*word, "give " + called_beside(*word, "mpi") + " or " + called_beside(*word, "gang") +
                        " too, it makes each task a gang");
  }
  const Word* const bind = job.find("bind");
  if (bind != nullptr && !bind->text.empty())
    refuse(*bind, "give " + called_beside(*bind, "mpi") + " too, it starts what is bound so");
}

// What is about ranks that we start, where we start none.
void refuse_without_ranks(const JobDefinition& job) {
  for (const std::string_view field : {"cores-per-rank", "bind", "bind-to", "mpi-interfaces"}) {
    const Word* const word = job.find(field);
    const bool plain_bind = field == "bind" && word != nullptr && word->text.empty();
    if (word != nullptr && !plain_bind)
      refuse(*word, "with " + called_beside(*word, "gang") + " the program starts ranks itself: " +
                        "leave it out, or give " + called_beside(*word, "mpi") + " instead");
  }
}

// How ranks are spread over nodes. `per_node`: one number for each node or one for all; empty:
// nothing was said.
struct Layout {
  std::uint64_t nodes = 1;
  std::vector<std::uint32_t> per_node;

  std::uint64_t total() const {
    const std::uint64_t sum = std::accumulate(per_node.begin(), per_node.end(), std::uint64_t{0});
    return per_node.size() == 1 ? sum * nodes : sum;
  }
  std::uint64_t most() const {
    return per_node.empty() ? 1 : *std::max_element(per_node.begin(), per_node.end());
  }
};

std::vector<std::uint32_t> read_list(const Word& word) {
  std::vector<std::uint32_t> list;
  const std::string_view text = word.text;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t end = std::min(text.find(',', from), text.size());
    list.push_back(static_cast<std::uint32_t>(
        read_number(word, text.substr(from, end - from), kGangRanksMax)));
    if (list.size() > kGangNodesMax)
      fail(ExitCode::kUsage, word.where + ": more numbers than the " +
                                 std::to_string(kGangNodesMax) + " nodes that a gang may have");
    from = end + 1;
  }
  return list;
}

// `ranks` as evenly as can be: "4,3,3".
std::string proposed_list(std::uint64_t ranks, std::uint64_t nodes) {
  if (nodes > kProposedMax) return "one number for each node";
  std::string list = "like ";
  for (std::uint64_t n = 0; n < nodes; ++n)
    list += (n == 0 ? "" : ",") + std::to_string(ranks / nodes + (n < ranks % nodes ? 1 : 0));
  return list;
}

// Ranks were given, and how many stand on a node was not.
void share_out(const Word& word, std::uint64_t ranks, Layout& layout) {
  if (ranks < layout.nodes)
    refuse(word,
           "fewer than the " + std::to_string(layout.nodes) + " nodes: each has one rank at least");
  if (ranks % layout.nodes != 0)
    refuse(word, "cannot be shared alike by " + std::to_string(layout.nodes) + " nodes: give " +
                     called_beside(word, "ranks-per-node") + " as a list, " +
                     proposed_list(ranks, layout.nodes));
  layout.per_node = {static_cast<std::uint32_t>(ranks / layout.nodes)};
}

Layout read_layout(const JobDefinition& job) {
  const std::optional<std::uint64_t> nodes = number_of(job, "nodes", kGangNodesMax);
  const std::optional<std::uint64_t> ranks = number_of(job, "ranks", kGangRanksMax);
  const Word* const per_node = job.find("ranks-per-node");
  const Word* const all = job.find("ranks");
  Layout layout;
  if (per_node != nullptr) layout.per_node = read_list(*per_node);
  const bool same = layout.per_node.size() == 1;
  if (nodes) {
    layout.nodes = *nodes;
  } else if (layout.per_node.size() > 1) {
    layout.nodes = layout.per_node.size();
  } else if (ranks && same) {
    if (*ranks % layout.per_node[0] != 0)
      refuse(*all, "not a multiple of " + called_beside(*all, "ranks-per-node") + ' ' +
                       per_node->text + ": give that as a list");
    layout.nodes = *ranks / layout.per_node[0];
  }
  if (layout.per_node.size() > 1 && layout.per_node.size() != layout.nodes)
    refuse(*per_node, std::to_string(layout.per_node.size()) + " numbers for " +
                          std::to_string(layout.nodes) + " nodes: give one for each, or one");
  if (ranks && layout.per_node.empty()) share_out(*all, *ranks, layout);
  if (ranks && layout.total() != *ranks)
    refuse(*all, called_beside(*all, "ranks-per-node") + ' ' + per_node->text + " on " +
                     std::to_string(layout.nodes) + " nodes makes " +
                     std::to_string(layout.total()));
  return layout;
}

// One number if all are alike.
std::vector<std::uint32_t> folded(std::vector<std::uint32_t> list) {
  const bool alike = std::all_of(list.begin(), list.end(),
                                 [&list](std::uint32_t ranks) { return ranks == list[0]; });
  if (alike && list.size() > 1) list.resize(1);
  return list;
}

void read_cores(const JobDefinition& job, const Layout& layout, JobRequest& request,
                GangRequest& gang) {
  const Word* const given = job.find("cores-per-rank");
  const std::uint64_t cores = number_of(job, "cores-per-rank", kCoresPerRankMax).value_or(1);
  const std::uint64_t needed = layout.most() * cores * 1000;
  const Word* const cpus = job.find("cpus");
  // Ranks share what was asked for in so many words, be it more or less than a core for each.
  gang.cores_per_rank = cpus != nullptr && given == nullptr ? 0 : static_cast<std::uint32_t>(cores);
  if (cpus == nullptr) {
    if (needed > definitions::kMillicoresMax)
      refuse(*given, std::to_string(layout.most()) + " ranks need more cores than a node can have");
    request.resources.millicores = static_cast<std::uint32_t>(needed);
  } else if (given != nullptr && needed > request.resources.millicores) {
    refuse(*cpus, std::to_string(layout.most()) + " ranks with " + std::to_string(cores) +
                      " cores each need " + definitions::show_millicores(needed) + ": leave " +
                      called_beside(*cpus, "cores-per-rank") + " out to have them share");
  }
}

void read_coordination(const JobDefinition& job, const JobRequest& request, GangRequest& gang) {
  const Word* const program = job.find("coordination");
  const std::vector<Word>& arguments = job.all("coordination-arg");
  if (program == nullptr) {
    if (!arguments.empty())
      fail(ExitCode::kUsage, arguments.front().where + ": give " +
                                 called_beside(arguments.front(), "coordination") +
                                 " PROG too, it is what takes it");
    return;
  }
  value_or_fail(check_program(program->text, request.directory, request.environment),
                program->where + ' ');
  gang.coordination.push_back(program->text);
  for (const Word& word : arguments) gang.coordination.push_back(word.text);
}

void read_interfaces(const JobDefinition& job, GangRequest& gang) {
  const Word* const word = job.find("mpi-interfaces");
  if (word == nullptr) return;
  if (!definitions::names_interfaces(word->text))
    fail(ExitCode::kUsage, word->where + " \"" + word->text +
                               "\" is no list of interfaces: write names or networks, like "
                               "eth0,10.0.0.0/8");
  gang.interfaces = word->text;
}

}  // namespace

void read_gang(const JobDefinition& job, JobRequest& request) {
  static constexpr auto kLaunches = std::to_array<std::string_view>({"", "required", "pmi1"});
  static constexpr auto kBinds = std::to_array<std::string_view>({"compact", "spread", "none"});
  static constexpr auto kBindTo = std::to_array<std::string_view>({"core", "numa", "socket"});
  const Word* const mpi = job.find("mpi");
  const Word* const application = job.find("gang");
  const Word* const bind = job.find("bind");
  request.bind_cores = bind != nullptr && bind->text.empty();
  if (mpi == nullptr && application == nullptr) return refuse_without_gang(job);
  if (mpi != nullptr && application != nullptr)
    fail(ExitCode::kUsage, mpi->where + " and " + application->where +
                               ": give one of them, either Leat starts ranks or the program does");
  GangRequest gang;
  gang.launch = mpi == nullptr ? Launch::APPLICATION : choice_of<Launch>(mpi, kLaunches);
  gang.bind = choice_of<schema::GangSpec::Bind>(bind, kBinds);
  gang.bind_to = choice_of<schema::GangSpec::BindTo>(job.find("bind-to"), kBindTo);
  if (mpi == nullptr) refuse_without_ranks(job);
  Layout layout = read_layout(job);
  if (layout.total() > kGangRanksMax)
    refuse(*job.find("ranks-per-node"), std::to_string(layout.total()) +
                                            " ranks are more than the " +
                                            std::to_string(kGangRanksMax) + " of a gang");
  if (mpi != nullptr) {
    if (layout.per_node.empty()) layout.per_node = {1};
    read_cores(job, layout, request, gang);
  }
  gang.nodes = static_cast<std::uint32_t>(layout.nodes);
  gang.ranks_per_node = folded(std::move(layout.per_node));
  read_coordination(job, request, gang);
  read_interfaces(job, gang);
  request.gang = std::move(gang);
}

}  // namespace leat::cli
