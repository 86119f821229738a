#pragma once

// gang_files.h - members of gangs on this node: where theirs meet, and the file that starts each.
//
// A member is run by leat-mpi-launcher, a task like any other to the warden. Its file
// (schema/gang.capnp) holds the gang's key, so it is 0600 and goes with the run. The first member's
// agent makes the meeting place: a port that it keeps by a bound socket until the launcher listens
// there, and an authority that serves this attempt alone.

#include <kj/io.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "node-agent/messages.h"
#include "transport/authority.h"

namespace leat::agent {

struct GangFilesOptions {
  std::string directory;  // the node's
  std::string host;       // which the other members reach this node by
  std::string cluster_id;
  NodeRef node;
  std::function<transport::WallSeconds()> now;
};

// What is known of a member only when it is started.
struct MemberLaunch {
  std::vector<std::string> program;
  std::vector<std::vector<std::uint32_t>> cpus;  // for each rank here
  std::uint32_t node_cpus = 1;
  std::string directory;
};

// Thread: any one; calls block on local files.
class GangFiles {
 public:
  explicit GangFiles(GangFilesOptions options);

  // A member that will be started here. Repeated for a run that is known, it changes nothing; one
  // that an earlier life of the agent began and did not start meets where that said.
  // Refused if there is no port to be had, which then write() says, too.
  Result<Done> begin(const RunId& run, const GangStart& start);

  // Where the others meet it, if this is the first member of a gang with others: also of one that
  // an earlier life of the agent began.
  std::optional<GangHub> hub_of(const RunId& run);

  // Writes the launcher's file; its path. Precondition: begin(), in this life of the agent.
  Result<std::string> write(const RunId& run, const StageSpec& spec, const MemberLaunch& launch);

  // Which member of its gang is here; nothing of a run that is no gang's.
  std::optional<std::uint32_t> member_of(const RunId& run);

  // How many ranks the member here has. Precondition: begin(), in this life of the agent.
  std::size_t ranks_here(const RunId& run, const GangSpec& gang) const;

  // The run is over: nothing of it stays.
  void drop(const RunId& run);
  // The same for all runs but these, whatever earlier lives of the agent have left.
  void keep_only(std::span<const RunId> runs);

 private:
  struct Member {
    GangStart start;
    std::optional<GangHub> hub;  // where all meet; none if there is nobody else
    std::optional<Refusal> refusal;
    kj::AutoCloseFd port;             // keeps it
    std::string private_directory{};  // once write() has named it
  };

  std::string file_of(const std::string& run) const;
  std::string new_private_directory(const std::string& run) const;
  Result<Done> open_hub(const std::string& run, Member& member);
  // What the machine is like, for launchers, found out once; empty if it cannot be kept.
  const std::string& topology();

  GangFilesOptions options_;
  std::string files_;   // where files are
  std::string memory_;  // where private directories are: memory, if there is any
  std::string prefix_;  // of their names there
  std::optional<std::string> topology_;
  std::map<RunId, Member> members_;
  std::map<std::string, GangHub> told_;  // by earlier lives, of runs that have not been started
};

// "17.0.3.1": job, stage, index, attempt.
std::string gang_name(const RunId& run);

}  // namespace leat::agent
