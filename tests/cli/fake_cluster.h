#pragma once

// fake_cluster.h - a head, a store and an agent in the test's own loop, answering what it is told.

#include <kj/async-io.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/index_list.h"
#include "cli/command.h"
#include "schema/data.capnp.h"
#include "schema/scheduler.capnp.h"
#include "tests/cli/fake_seeing.h"
#include "transport/authority.h"
#include "transport/listener.h"
#include "transport/session.h"

namespace leat::cli {

// Keeps what a command said.
class FakeConsole final : public Console {
 public:
  void out(std::string_view bytes) override {
    if (closed) throw OutputClosed{};
    written += bytes;
    if (on_out) on_out();
  }
  void talk(std::string_view line) override { said.emplace_back(line); }
  void progress(std::string_view line) override {
    shown.emplace_back(line);
    if (on_progress) on_progress(shown.size());
  }
  std::optional<std::string> ask(std::string_view question) override {
    if (!terminal) return std::nullopt;
    asked.emplace_back(question);
    return answer;
  }
  bool shows_progress() const override { return terminal; }

  std::string written;
  std::vector<std::string> said;
  std::vector<std::string> shown;
  std::vector<std::string> asked;
  std::string answer;                                  // to every question
  std::function<void()> on_out;                        // may be empty
  std::function<void(std::size_t lines)> on_progress;  // may be empty
  bool terminal = false;
  bool closed = false;
};

// What one member of a gang has written so far, marked or not.
struct FakeMember {
  std::string output;
  bool finished = true;
  std::string error{};  // standard error
};

// What the fake head knows and has been asked. Lives longer than any of its lives.
struct FakeWorld {
  // submit
  std::map<std::string, std::uint64_t> jobs_by_key;
  std::vector<std::string> keys_seen;
  std::function<void(schema::JobSpec::Reader)> on_submit;
  bool drop_before_answer = false;  // once: take the job, then lose the connection

  // watch and job
  std::vector<std::uint64_t> cursors_seen;
  std::function<void(schema::JobSummary::Builder)> fill_job;
  std::uint64_t cursor = 1;
  std::uint32_t newest = 17;
  kj::Own<kj::PromiseFulfiller<void>> watcher;  // of one that waits for a change
  std::function<void()> on_watch;

  std::function<void(schema::Status::Builder)> fill_status;
  std::function<void(schema::Refusal::Builder)> refuse;  // if set, refuses what may be refused
  std::vector<std::string> cancelled;                    // "17.0:1-3"
  std::vector<std::string> wishes;                       // about pools and nodes

  FakeSights sights;  // events, top, history

  std::string store_address;
  std::string agent_address;
  std::string result_hash;
  std::uint64_t result_length = 0;

  // leat-store and agent
  std::map<std::string, std::string> blobs;  // by hash
  unsigned puts = 0;
  std::string output;
  std::uint64_t bytes_read = 0;  // of what members of gangs wrote
  // Of what tasks wrote, so that every reader has to go on.
  std::size_t bytes_at_once = 3;
  bool output_finished = true;
  unsigned reads_until_lost = ~0u;
  std::vector<FakeMember> gang;   // what every task is; empty: no gang
  std::uint32_t attempt = 1;      // of every task
  std::vector<Stride> tasks;      // of every job
  bool not_yet = false;           // nothing has run
  std::string why = "resources";  // the reason of the only cause
  bool stored = false;            // outputs are in leat-store
  std::string store_refusal;      // which has none, if this says so
  std::int64_t agent_wall_s = 0;
};

// A home directory with the credentials of a cluster; the servers come and go.
class FakeCluster {
 public:
  FakeCluster();
  ~FakeCluster() noexcept;
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  void start_head();
  // The connections break; the socket's file stays, as after kill -9.
  void kill_head();
  void start_data_servers();

  // Puts credentials into HOME/tls/NAME that end at `end_s`, seconds since 1970.
  void save_credentials(const std::string& name, std::int64_t end_s);

  // Connections to store and agent break; both take new ones.
  void lose_data_sessions();

  // Runs `promise` in the background of whatever command runs.
  void in_background(kj::Promise<void> promise);

  // Parses `words` for `entry` and runs it: exit code, or that of the Failure, whose message is
  // in `failure`.
  int run(const CommandEntry& entry, std::vector<std::string> words);

  kj::AsyncIoContext io;
  FakeConsole console;
  FakeWorld world;
  std::string failure;
  Surroundings surroundings;
  Home home;

 private:
  struct Servers;
  std::unique_ptr<Servers> servers_;
};

}  // namespace leat::cli
