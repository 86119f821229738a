#pragma once

// node_directory.h - NODES/<id>-<epoch>: what a local node's agent finds there.
//
// agent.json   who it is, where the head is, its share of the machine (node-agent/node_file.h)
// join.token   0600, until it is spent
// agent.pid    written for the agent before it runs; warden.pid: by the warden itself
// agent.log    what the agent has to say
// Everything else is the agent's and the warden's.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "pools/provider.h"

namespace leat::pools {

// A share of the machine's cores, counted from 0.
struct CoreShare {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// Likewise of its gpus.
struct GpuShare {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// Of a directory that is still being made.
inline constexpr std::string_view kUnfinishedPrefix = ".new-";

std::string directory_name(NodeRef node);
// Exactly what directory_name() makes.
std::optional<NodeRef> parse_directory_name(std::string_view name);

// What is this node's alone of a machine that it shares with others.
struct MachineShare {
  std::optional<CoreShare> cores;
  GpuShare gpus;
};

// The text of agent.json.
std::string node_file_text(const NodeOrder& order, const MachineShare& share,
                           const std::string& warden_program);

// The share in such a text; nothing if it has none.
std::optional<CoreShare> cores_in_node_file(std::string_view text);

GpuShare gpus_in_node_file(std::string_view text);

bool mock_in_node_file(std::string_view text);

// The same text with another head address. Nothing if it is not such a text.
std::optional<std::string> with_head_address(std::string_view text, const std::string& address);

// The directory appears whole, mode 0700, files 0600. Refused with kConflict if it is there.
Result<Done> make_node_directory(const std::string& nodes, const NodeOrder& order,
                                 const std::string& node_file);

// A small file of ours, never through a symbolic link. Refused with kNotFound if it is not there.
Result<std::string> read_node_file(const std::string& path);
// In place of what is there; whole or not at all.
Result<Done> replace_node_file(const std::string& path, std::string_view content);

// Whether a warden holds the directory, also one that has not written its pid yet.
bool warden_holds(const std::string& directory);

}  // namespace leat::pools
