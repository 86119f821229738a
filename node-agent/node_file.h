#pragma once

// node_file.h - DIR/agent.json: what the provider tells an agent about its node.
//
// {
//   "node": 3, "epoch": 12,              who this is; must agree with the certificate
//   "pool": "local",
//   "cluster_id": "abcdefghijklmnop",
//   "head_address": "127.0.0.1:40001",   host:port; read again before each attempt to connect
//   "warden": "/usr/bin/leat-warden",
//   "millicores": 2000,                  optional: this node's share of the machine; 0 or absent:
//   all "memory_bytes": 8000000000,          optional: likewise "core_first": 0, optional: the
//   share is cores core_first .. and nobody else's;
//                                        without it a share is never bound to cores
//   "gpus": 2,                           optional: devices that are this node's; absent: as found
//   "gpu_first": 0,                      optional: the first of them
//   "counters": {"licence": 4},          optional: resources that have only a name
//   "memory_limits": "off",              optional: "auto" or "off", without cgroups
//   "spool_quota_bytes": 8589934592,     optional
//   "labels": ["ssd"],                   optional
//   "mock": false                        optional: `leat-agent --mock` may be started here
// }
// Unknown keys are ignored: a newer provider may say more. The enrolment address and the secret
// are in DIR/join.token, which is removed once it has been spent.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/resources.h"
#include "base/result.h"

namespace leat::agent {

inline constexpr std::uint64_t kSpoolQuotaDefault = std::uint64_t{8} << 30;

struct NodeFile {
  NodeRef node;
  std::string pool;
  std::string cluster_id;
  std::string head_address;
  std::string warden;
  std::uint32_t millicores = 0;
  std::uint64_t memory_bytes = 0;
  std::optional<std::uint32_t> core_first;
  std::optional<std::uint32_t> gpus;
  std::uint32_t gpu_first = 0;
  std::vector<Counter> counters;
  bool keeps_memory_limits = true;
  std::uint64_t spool_quota_bytes = kSpoolQuotaDefault;
  std::vector<std::string> labels;
  bool mock = false;
};

// From the text of the file. Refused with the key named.
Result<NodeFile> parse_node_file(const std::string& text);

// DIR/agent.json, which must be a regular file of ours that nobody else may write.
Result<NodeFile> read_node_file(const std::string& directory);

// Held as long as this process lives: two agents of one node would both believe they are it.
Result<Done> lock_node(const std::string& directory);

}  // namespace leat::agent
