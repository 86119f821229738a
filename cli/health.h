#pragma once

// health.h - what may be wrong with a cluster and its host, each with its remedy.
//
// Judgements only: figures in, a finding out. doctor.cc gathers the figures.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace leat::cli {

enum class Health : std::uint8_t {
  kGood,
  kNote,   // works, with less than there could be
  kWrong,  // will fail, or has failed
};

struct Finding {
  std::string check;  // stable: leat-doctor(1)
  Health health = Health::kGood;
  std::string message;
  std::string remedy;  // empty where nothing has to be done
};

const char* name_of(Health health);

inline constexpr std::uint64_t kFreeBytesMin = 1ull << 30;
inline constexpr std::uint64_t kFreeFilesMin = 10'000;
inline constexpr std::uint64_t kOpenFilesMin = 4'096;
inline constexpr std::uint64_t kProcessesMin = 1'024;
inline constexpr std::int64_t kDaysLeftMin = 14;
// Beside one second of rounding; tickets are good for minutes.
inline constexpr Duration kSkewMax = std::chrono::seconds(5);

struct DiskSpace {
  std::uint64_t free_bytes = 0;
  std::uint64_t free_files = 0;
  bool counts_files = true;  // some file systems do not
};
Finding judge_disk(const std::string& path, const DiskSpace& space);

// `hard` is the limit that we may raise the soft one to.
Finding judge_open_files(std::uint64_t hard);
Finding judge_processes(std::uint64_t hard);

// `end_s`, `now_s`: seconds since 1970. `name`: "tls/user".
Finding judge_certificate(const std::string& name, std::int64_t end_s, std::int64_t now_s);

// How far a node's clock is ahead of ours.
Finding judge_clock(std::uint32_t node, Duration skew);

// What of /sys/fs/cgroup may be used for limits.
struct CgroupView {
  enum class Kind : std::uint8_t { kNone, kV1, kV2 } kind = Kind::kNone;
  bool writable = false;  // groups can be made below our own
  bool memory = false;    // and the memory controller is there
};
Finding judge_cgroup(const CgroupView& view);

// `socket_there`: the file of the head's socket exists. `home_used`: a head has run there.
Finding judge_head(bool answers, bool socket_there, bool home_used);

// A node as the head knows it, and whether its data port took a connection of ours.
Finding judge_agent(std::uint32_t node, const std::string& state, const std::string& host,
                    bool reachable);

Finding judge_store(bool runs);

}  // namespace leat::cli
