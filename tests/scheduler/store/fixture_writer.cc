// fixture_writer.cc - writes records that have no fixture yet. Never touches one that is there.

#include <capnp/serialize.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "scheduler/store/fact_codec.h"
#include "scheduler/store/history.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/message_bytes.h"
#include "scheduler/store/row_codec.h"
#include "scheduler/store/value_codec.h"
#include "schema/types.capnp.h"
#include "tests/scheduler/store/samples.h"
#include "tests/scheduler/store/samples_gangs.h"

namespace leat::store {
namespace {

std::string job_spec_bytes(void (*fill)(capnp::MessageBuilder&)) {
  capnp::MallocMessageBuilder message;
  fill(message);
  const kj::Array<capnp::word> flat = capnp::messageToFlatArray(message);
  return std::string(reinterpret_cast<const char*>(flat.begin()), flat.asBytes().size());
}

std::map<std::string, std::string> fixtures() {
  std::map<std::string, std::string> files;
  for (const auto& [name, fact] : sample_facts())
    files["fact-" + name] = encode_turn({fact}, Time{Duration{42}}, HeadEpoch{7});
  files["job-spec"] = job_spec_bytes(fill_job_spec);
  files["job-spec-waits"] = job_spec_bytes(fill_waits);
  files["job-spec-own-pool"] = to_bytes<schema::JobSpec>([](schema::JobSpec::Builder to) {
    to.setName("once");
    auto pool = to.initOwnPool();
    pool.setName("burst");
    pool.setProvider("local");
    pool.setMax(4);
    pool.initLabels(1).set(0, "fast");
  });
  files["row-meta"] = encode_meta(sample_meta());
  files["row-pool"] = encode_pool(sample_pool());
  files["row-pool-elastic"] = encode_pool(sample_elastic_pool());
  files["row-node-duty"] = encode_node(sample_node());
  files["row-node"] = encode_node(sample_node());
  files["row-job"] = encode_job(sample_job());
  files["row-job-waiting"] = encode_job(sample_waiting_job());
  files["row-job-past"] = encode_job(sample_past_job());
  core::GrantedWishes wishes;
  fill(wishes);
  files["row-keys"] = encode_keys(wishes, 1);
  const core::StageSpec spec;
  files["row-cells"] = encode_cells(sample_stage(spec), {0, 9});
  files["row-cells-delayed"] = encode_cells(sample_delayed_stage(spec), {0, 9});
  files["row-gang"] = encode_gang(sample_gang());
  files["row-node-until"] = encode_node(sample_node_with_time());
  files["run-columns"] = to_bytes<schema::RunColumns>(
      [](schema::RunColumns::Builder to) { write_columns(sample_columns(), to); });
  files["run-id"] = to_bytes<schema::RunId>([](schema::RunId::Builder to) {
    to.setJob(17);
    to.setStage(2);
    to.setAttempt(3);
    to.setIndex((1ull << 48) - 1);
  });
  files["refusal"] = to_bytes<schema::Refusal>([](schema::Refusal::Builder to) {
    to.setReason(schema::Refusal::Reason::NOT_IN_THIS_VERSION);
    to.setMessage("gpus: not in this version");
  });
  core::State state;
  History history;
  core::RunsEnded ended{
      {{JobId{17}, 2}, 3, IndexList::parse("5,8,100").value()}, {}, {}, sample_columns(), {}};
  history_of(ended, state, Time{}, history);
  files["history-runs"] = history.runs.at(0).runs;
  return files;
}

}  // namespace
}  // namespace leat::store

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fixture_writer DIRECTORY\n");
    return 2;
  }
  for (const auto& [name, bytes] : leat::store::fixtures()) {
    const std::filesystem::path path = std::filesystem::path(argv[1]) / (name + ".bin");
    if (std::filesystem::exists(path)) continue;
    std::ofstream(path, std::ios::binary) << bytes;
    std::printf("wrote %s\n", path.c_str());
  }
  return 0;
}
