#include "cli/job_environment.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "cli/program_check.h"

namespace leat::cli {
namespace {

using definitions::JobDefinition;
using definitions::Word;

constexpr std::string_view kCheckpoints = "LEAT_CHECKPOINT_DIR=";

bool is_ours(const std::string& entry) {
  return entry.starts_with("LEAT_");
}

// By these a process that was started as a rank, by srun or mpirun, knows who it is and where its
// server is. `leat submit` may be one; its tasks are others.
bool is_of_a_rank(const std::string& entry) {
  return entry.starts_with("PMI_") ||
         (entry.starts_with("PMIX_") && !entry.starts_with("PMIX_MCA_"));
}

void set_variable(std::vector<std::string>& environment, const std::string& entry) {
  const std::string name = entry.substr(0, entry.find('=') + 1);
  std::erase_if(environment, [&name](const std::string& e) { return e.rfind(name, 0) == 0; });
  environment.push_back(entry);
}

// `place` begins the line of a refusal.
void check_variable(const std::string& entry, const std::string& place) {
  if (entry.find('=') == std::string::npos || entry.front() == '=')
    fail(ExitCode::kUsage, place + ": write NAME=VALUE");
  // Where checkpoints are is the user's to say; each task has its own place below that.
  if (entry.rfind(kCheckpoints, 0) == 0) {
    if (entry.substr(kCheckpoints.size(), 1) != "/")
      fail(ExitCode::kUsage, place + ": write the whole path, from /");
  } else if (is_ours(entry)) {
    fail(ExitCode::kUsage, place + ": names that begin with LEAT_ are Leat's own");
  }
}

std::vector<std::string> exported(const Word* word, const Surroundings& surroundings) {
  std::vector<std::string> environment;
  const std::string what = word == nullptr ? "all" : word->text;
  for (const std::string& entry : surroundings.environment)
    if (what == "all" && entry.find('=') != std::string::npos && !is_ours(entry) &&
        !is_of_a_rank(entry))
      environment.push_back(entry);
  if (what == "all" || what == "none") return environment;
  std::istringstream names(what + ',');
  for (std::string name; std::getline(names, name, ',');) {
    if (name.empty())
      fail(ExitCode::kUsage, word->where + " \"" + what + "\": write all, none or NAME,NAME…");
    const auto& all = surroundings.environment;
    const auto found = std::find_if(all.begin(), all.end(), [&name](const std::string& entry) {
      return entry.rfind(name + '=', 0) == 0;
    });
    if (found == all.end())
      fail(ExitCode::kUsage, word->where + ' ' + name + ": this environment has no such variable");
    check_variable(*found, word->where + ' ' + name);
    set_variable(environment, *found);
  }
  return environment;
}

void add_file(const Word& word, const Surroundings& surroundings,
              std::vector<std::string>& environment) {
  const std::string path = absolute_path(word.text, surroundings.directory);
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ExitCode::kUsage, word.where + ' ' + word.text + ": " + std::strerror(errno));
  std::string text(kVariableFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) fail(ExitCode::kUsage, word.where + ' ' + word.text + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kVariableFileBytesMax)
    fail(ExitCode::kUsage, word.where + ' ' + word.text + ": larger than 1 MiB");
  std::istringstream lines(text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const std::string place = word.text + ':' + std::to_string(number);
    if (line.find('\0') != std::string::npos)
      fail(ExitCode::kUsage, place + ": contains a zero byte");
    check_variable(line, place);
    set_variable(environment, line);
  }
}

}  // namespace

std::vector<std::string> read_environment(const JobDefinition& job,
                                          const Surroundings& surroundings) {
  std::vector<std::string> environment = exported(job.find("export"), surroundings);
  for (const Word& word : job.all("env-from-file")) add_file(word, surroundings, environment);
  for (const Word& word : job.all("env")) {
    check_variable(word.text, word.where + ' ' + word.text);
    set_variable(environment, word.text);
  }
  return environment;
}

}  // namespace leat::cli
