#pragma once

// labels.h - words that nodes carry, and what jobs ask of them.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leat {

// Labels of one node, and requirements of one job.
inline constexpr std::size_t kLabelsMax = 64;
inline constexpr std::size_t kLabelBytesMax = 128;
// Labels that begin so are what an agent has found out about its node; nobody else may give them.
inline constexpr std::string_view kOwnLabelPrefix = "leat:";
// The kernel keeps memory limits on this node.
inline constexpr std::string_view kMemoryLimitLabel = "leat:memory-limit";
// Ranks of MPI programs can be started there; with what its library's name says of its version.
inline constexpr std::string_view kMpiLabel = "leat:mpi";

// "fast" or "rack=7": a word, perhaps '=' and a value; letters, digits, '-', '_', '.', '/' and ':',
// beginning with a letter or digit.
bool is_label(std::string_view text);

// A label that people may give to nodes: none of an agent's own.
bool is_given_label(std::string_view text);
inline constexpr const char* kGivenLabelRule =
    "a label is a word of letters, digits and -_./: or two of them like site=north, and does not "
    "begin with leat:";

// "L": a node with the label L, or with L=anything. "K=V": with just that. "!…": without it.
struct Requirement {
  bool negated = false;
  std::string label;

  bool met_by(std::span<const std::string> labels) const;
  std::string to_string() const { return (negated ? "!" : "") + label; }

  friend bool operator==(const Requirement&, const Requirement&) = default;
};

// Refused with what a requirement looks like.
Result<Requirement> parse_requirement(std::string_view text);

// What follows "L=" in the node's label L, or nothing after a mere L; the least, if there are
// several. None: the node has no such label. Of the label "" all nodes have the same.
std::optional<std::string_view> label_value(std::span<const std::string> labels,
                                            std::string_view label);

bool all_met(std::span<const Requirement> requirements, std::span<const std::string> labels);

}  // namespace leat
