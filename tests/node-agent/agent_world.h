#pragma once

// agent_world.h - a real leat-agent with its warden, and a head made of this test's own process.

#include <kj/async-io.h>
#include <kj/compat/tls.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node-agent/agent_codec.h"
#include "node-agent/messages.h"
#include "schema/agent.capnp.h"
#include "schema/data.capnp.h"
#include "tests/spool/scratch_directory.h"
#include "transport/authority.h"
#include "transport/listener.h"
#include "transport/session.h"
#include "transport/ticket.h"

namespace leat::agent {

// What the fake head was told of one run.
struct Told {
  RunResult result;
  std::optional<BlobRef> stored;
  int times = 0;
};

// Speaks TLS on loopback and plays a head of one node. Everything happens on the test's own loop.
class AgentWorld {
 public:
  AgentWorld();
  ~AgentWorld();

  // --- the node ---
  void write_node_file(const std::string& more = "");
  void give_credentials();
  void start_agent(std::vector<std::string> more_arguments = {});
  void kill_agent();
  // The exit code of the agent, once it has ended by itself.
  int agent_exit();
  pid_t warden_pid();
  std::string agent_log();
  // A line of the agent's /proc/PID/status: "VmRSS:", "VmHWM:".
  std::uint64_t agent_kib(const std::string& line);

  // --- the head ---
  // Waits, with a deadline, until something makes `holds` true.
  void wait_until(const std::function<bool()>& holds);
  void wait_for_join(int count = 1);
  void hang_up() { sessions_.clear(); }
  StartSet stage_set(JobId job, const std::vector<std::string>& argv, std::string_view indices);
  void start(StartSet set);
  void end(const RunSet& runs, Duration grace);
  const Told* told(const RunId& run) const;
  std::string ticket(JobId job, const std::string& reader, std::int64_t lives_s = 60,
                     std::vector<Stride> indices = {});

  // --- a reader ---
  struct ReadAnswer {
    std::string data;
    std::string refusal;
    bool finished = false;
  };
  ReadAnswer read(const transport::Peer& who, const std::string& ticket, const RunId& run,
                  std::uint64_t offset = 0);

  kj::AsyncIoContext io = kj::setupAsyncIo();
  ScratchDirectory scratch;
  transport::ClusterAuthority authority;
  transport::TicketSigner signer;
  NodeRef node{NodeId{3}, NodeEpoch{9}};

  HeadEpoch head_epoch{5};
  std::string refuse_with;                    // refuses joins, if not empty
  bool answer_reports = true;                 // else they are taken, but never answered
  std::string store_address = "127.0.0.1:1";  // told at each join
  std::string output_ticket;                  // likewise
  std::vector<std::string> evacuated;         // bytes, or why not
  int joins = 0;
  std::map<RunId, std::string> progress;  // "PERMILLE MESSAGE", as last told
  std::vector<RunSet> live;               // of the newest hello
  std::string data_address;               // likewise
  std::string directory;                  // of the node

  // Called by the parts of the fake head.
  void happened();
  std::map<RunId, Told> reported;
  std::optional<schema::Agent::Client> agent;
  std::uint64_t session = 0;

 private:
  void accept(kj::Own<kj::AsyncIoStream> stream);

  std::uint64_t sequence_ = 0;
  kj::Own<kj::TlsContext> context_;
  kj::Own<transport::TlsListener> listener_;
  std::vector<kj::Own<transport::Session>> sessions_;
  kj::Own<kj::PromiseFulfiller<void>> waiting_;
  pid_t agent_pid_ = 0;
};

}  // namespace leat::agent
