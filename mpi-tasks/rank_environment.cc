#include "mpi-tasks/rank_environment.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

namespace leat::mpi {
namespace {

constexpr std::array<std::string_view, 4> kForeign{"PMIX_", "PMI_", "OMPI_", "PRTE_"};

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

// Two words that PSM2 wants to be a gang's own.
std::string transport_key(std::uint64_t word) {
  char text[34];
  std::snprintf(text, sizeof text, "%016llx-%016llx", static_cast<unsigned long long>(word),
                static_cast<unsigned long long>(word * 0x9e3779b97f4a7c15u));
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
  std::erase_if(variables, [](const std::string& variable) {
    return std::ranges::any_of(
        kForeign, [&](std::string_view prefix) { return variable.starts_with(prefix); });
  });
  return variables;
}

Variables rank_environment(const RankSurroundings& surroundings, const Variables& pmix,
                           std::uint32_t rank, std::uint32_t local_rank) {
  Variables all;
  std::set<std::string, std::less<>> names;
  const auto add = [&](const Variables& more) {
    for (const std::string& variable : more)
      if (names.emplace(name_of(variable)).second) all.push_back(variable);
  };
  add(pmix);
  add(surroundings.user);
  add(ours(surroundings, rank, local_rank));
  add(without_foreign_mpi(surroundings.inherited));
  return all;
}

std::string_view value_of(const Variables& variables, std::string_view name) {
  for (const std::string_view variable : variables)
    if (name_of(variable) == name && variable.size() > name.size())
      return variable.substr(name.size() + 1);
  return {};
}

}  // namespace leat::mpi
