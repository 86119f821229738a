// launcher_preparation.cc - what a launcher does before anything starts.

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "mpi-tasks/interfaces.h"
#include "mpi-tasks/launcher.h"

namespace leat::mpi {
namespace {

// The same on all nodes of a gang.
std::uint64_t word_of(const std::string& name) {
  std::uint64_t word = 0xcbf29ce484222325u;
  for (const char c : name) word = (word ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return word;
}

// Open MPI would leave such a name out, with a warning, or not connect at all after a while.
std::optional<Failure> look_for_interfaces(const GangSpec& spec) {
  if (!spec.speaks_pmix() && !spec.application) return std::nullopt;
  const std::string missing = missing_interface(spec.interfaces, host_interfaces());
  if (missing.empty()) return std::nullopt;
  return Failure{kExitFailed, "node " + spec.here().name + ": " + missing +
                                  ", which mpi_interfaces of the pool, or --mpi-interfaces of the "
                                  "job, names"};
}

}  // namespace

std::optional<Failure> Launcher::prepare() {
  if (std::optional<Failure> failure = look_for_interfaces(spec_)) return failure;
  if (const std::optional<Failure> failure = make_directories()) return failure;
  const std::string& directory = spec_.private_directory;
  surroundings_ = {options_.inherited,
                   spec_.environment,
                   place_variables(directory + "/hostfile", spec_.layout.node_names(), spec_.node,
                                   spec_.layout.node_count()),
                   directory + "/memory",
                   spec_.interfaces,
                   word_of(spec_.nspace),
                   spec_.oversubscribed(),
                   spec_.layout.node_count() > 1,
                   options_.has_psm,
                   spec_.layout.size()};
  const std::optional<Failure> failure =
      spec_.application ? prepare_application() : prepare_ranks();
  // A coordination command may be what brings the program.
  if (failure || !spec_.coordination.empty()) return failure;
  return look_for_program();
}

std::optional<Failure> Launcher::make_directories() {
  const std::string& node = spec_.here().name;
  // A private directory of our making is one that we may remove.
  if (::mkdir(spec_.private_directory.c_str(), 0700) != 0)
    return Failure{kExitFailed, spec_.private_directory + ": cannot be made on node " + node +
                                    ": " + std::strerror(errno)};
  made_directory_ = true;
  const std::string memory = spec_.private_directory + "/memory";
  if (::mkdir(memory.c_str(), 0700) != 0)
    return Failure{kExitFailed, memory + ": cannot be made: " + std::strerror(errno)};
  const std::string hostfile = spec_.private_directory + "/hostfile";
  std::ofstream file(hostfile);
  for (NodeIndex index = 0; index < spec_.layout.node_count(); ++index)
    file << spec_.layout.node(index).name << " slots=" << spec_.layout.node(index).ranks.size()
         << '\n';
  file.close();
  if (!file) return Failure{kExitFailed, hostfile + ": cannot be written on node " + node};
  return std::nullopt;
}

std::optional<Failure> Launcher::prepare_ranks() {
  const std::string node = "node " + spec_.here().name + ": ";
  if (spec_.speaks_pmix())
    if (const Result<Done> started = pmix_.start(spec_.private_directory); !started.ok())
      return Failure{kExitFailed, node + started.refusal().message};
  other_environment_ = rank_environment(surroundings_, {}, 0, 0);
  std::uint32_t local_rank = 0;
  for (const Rank rank : spec_.here().ranks) {
    Variables variables = pmi1_.variables_of(rank);
    if (spec_.speaks_pmix()) {
      const Result<Variables> more = pmix_.variables_of(rank);
      if (!more.ok()) return Failure{kExitFailed, node + more.refusal().message};
      variables.insert(variables.end(), more.value().begin(), more.value().end());
    }
    ranks_.push_back(
        {.rank = rank,
         .environment = rank_environment(surroundings_, variables, rank, local_rank++)});
  }
  return std::nullopt;
}

std::optional<Failure> Launcher::prepare_application() {
  const std::string temporary = spec_.private_directory + "/tmp";
  if (::mkdir(temporary.c_str(), 0700) != 0)
    return Failure{kExitFailed, temporary + ": cannot be made: " + std::strerror(errno)};
  const Result<Done> listens = commands_.listen(spec_.private_directory, options_.token);
  if (!listens.ok())
    return Failure{kExitFailed, "node " + spec_.here().name + ": " + listens.refusal().message};
  const StarterTools tools{options_.rsh, commands_.access(), temporary, ::geteuid() == 0};
  other_environment_ = application_environment(surroundings_, tools, false);
  commands_.set_shell({options_.shell, application_environment(surroundings_, tools, true)});
  return std::nullopt;
}

std::optional<Failure> Launcher::look_for_program() {
  if (spec_.application && !spec_.is_hub()) return std::nullopt;
  auto found =
      find_program(spec_.program.front(), spec_.directory, value_of(other_environment_, "PATH"));
  if (const auto* nothing = std::get_if<NotStarted>(&found))
    return Failure{nothing->exit_code, nothing->message + " on node " + spec_.here().name};
  program_ = std::get<std::string>(std::move(found));
  return std::nullopt;
}

}  // namespace leat::mpi
