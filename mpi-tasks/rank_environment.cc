#include "mpi-tasks/rank_environment.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

namespace leat::mpi {
namespace {

constexpr std::array<std::string_view, 4> kForeign{"PMIX_", "PMI_", "OMPI_", "PRTE_"};
// By these mpirun believes that it may use that scheduler's nodes and way to start there.
constexpr std::array<std::string_view, 5> kSchedulers{"SLURM_", "PBS_", "LSB_", "LOADL",
                                                      "PE_HOSTFILE"};

template <std::size_t N>
Variables without(const std::array<std::string_view, N>& prefixes, Variables variables) {
  std::erase_if(variables, [&](const std::string& variable) {
    return std::ranges::any_of(
        prefixes, [&](std::string_view prefix) { return variable.starts_with(prefix); });
  });
  return variables;
}

// Of several variables of one name the first stays.
Variables first_of_each(std::initializer_list<const Variables*> lists) {
  Variables all;
  std::set<std::string, std::less<>> names;
  for (const Variables* list : lists)
    for (const std::string& variable : *list)
      if (names.emplace(variable.substr(0, variable.find('='))).second) all.push_back(variable);
  return all;
}

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

// Two words that PSM2 wants to be a gang's own.
std::string transport_key(std::uint64_t word) {
  const std::uint64_t other = word * 0x9e3779b97f4a7c15u;
  char text[34];
  std::snprintf(text, sizeof text, "%016llx-%016llx", static_cast<unsigned long long>(word),
                static_cast<unsigned long long>(other));
  return text;
}

Variables ours(const RankSurroundings& surroundings, std::uint32_t rank, std::uint32_t local_rank) {
  const std::string prefix = "OMPI_MCA_";
  Variables variables{
      "LEAT_RANK=" + std::to_string(rank),
      "LEAT_LOCAL_RANK=" + std::to_string(local_rank),
      "LEAT_RANK_COUNT=" + std::to_string(surroundings.rank_count),
      // The inclusive form: whatever scheduler's variables surround us, no rank is a singleton.
      prefix + "schizo=ompi",
      prefix + "ess=pmi",
      prefix + "orte_externally_bound=1",
      prefix + "hwloc_base_binding_policy=none",
      prefix + "orte_precondition_transports=" + transport_key(surroundings.gang_word),
      // Segments carry the kernel's host name, which virtual nodes share.
      prefix + "btl_vader_backing_directory=" + surroundings.memory_directory,
      prefix + "osc_sm_backing_directory=" + surroundings.memory_directory,
      // Spares every rank the loading of plug-ins for graphics and PCI.
      "HWLOC_PLUGINS_PATH=/nonexistent",
  };
  if (surroundings.yields) variables.push_back(prefix + "mpi_yield_when_idle=1");
  // Microseconds, for 10 ms: how long the first words between two nodes may wait to be seen.
  if (surroundings.several_nodes) variables.push_back(prefix + "mpi_event_tick_rate=100");
  // Their constructors calibrate for 0.2 s before they look for the hardware.
  if (!surroundings.has_psm) variables.push_back(prefix + "mtl=^ofi,psm,psm2");
  if (!surroundings.interfaces.empty()) {
    variables.push_back(prefix + "btl_tcp_if_include=" + surroundings.interfaces);
    variables.push_back(prefix + "oob_tcp_if_include=" + surroundings.interfaces);
  }
  return variables;
}

}  // namespace

Variables without_foreign_mpi(Variables variables) {
  return without(kForeign, std::move(variables));
}

Variables rank_environment(const RankSurroundings& surroundings, const Variables& pmix,
                           std::uint32_t rank, std::uint32_t local_rank) {
  const Variables own = ours(surroundings, rank, local_rank);
  const Variables inherited = without_foreign_mpi(surroundings.inherited);
  return first_of_each({&pmix, &surroundings.user, &own, &surroundings.place, &inherited});
}

Variables place_variables(const std::string& hostfile, const std::string& hosts, std::uint32_t node,
                          std::uint32_t node_count) {
  return {"LEAT_HOSTFILE=" + hostfile, "LEAT_HOST_LIST=" + hosts,
          "LEAT_NODE_COUNT=" + std::to_string(node_count),
          "LEAT_NODE_INDEX=" + std::to_string(node),
          std::string("LEAT_IS_PRIMARY=") + (node == 0 ? "1" : "0")};
}

Variables application_environment(const RankSurroundings& surroundings, const StarterTools& tools,
                                  bool remote) {
  const std::string prefix = "OMPI_MCA_";
  Variables own{
      "LEAT_RSH=" + tools.rsh,
      prefix + "plm_rsh_agent=" + tools.rsh,
      prefix +
          "orte_default_hostfile=" + std::string(value_of(surroundings.place, "LEAT_HOSTFILE")),
      // Where mpirun and its daemons keep session files. Open MPI's own settings for that it would
      // hand on from node to node.
      "TMPDIR=" + tools.directory,
  };
  // mpirun would hand these on, too.
  if (remote) {
    // Segments carry the kernel's host name, which virtual nodes share.
    own.push_back(prefix + "btl_vader_backing_directory=" + surroundings.memory_directory);
    own.push_back(prefix + "osc_sm_backing_directory=" + surroundings.memory_directory);
  }
  if (!surroundings.interfaces.empty()) {
    own.push_back(prefix + "btl_tcp_if_include=" + surroundings.interfaces);
    own.push_back(prefix + "oob_tcp_if_include=" + surroundings.interfaces);
  }
  if (tools.superuser)
    own.insert(own.end(), {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"});
  const Variables inherited = without(kSchedulers, without_foreign_mpi(surroundings.inherited));
  // A job that was submitted within an allocation has its variables, too.
  const Variables user = without(kSchedulers, surroundings.user);
  return first_of_each({&tools.access, &user, &own, &surroundings.place, &inherited});
}

std::string_view value_of(const Variables& variables, std::string_view name) {
  for (const std::string_view variable : variables)
    if (name_of(variable) == name && variable.size() > name.size())
      return variable.substr(name.size() + 1);
  return {};
}

}  // namespace leat::mpi
