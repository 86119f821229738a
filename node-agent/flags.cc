#include "node-agent/flags.h"

#include <cstdlib>
#include <string_view>

namespace leat::agent {

std::optional<Flags> parse_flags(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const bool has_value = i + 1 < argc;
    if (flag == "--dir" && has_value) {
      flags.directory = argv[++i];
    } else if (flag == "--bind" && has_value) {
      flags.bind = argv[++i];
    } else if (flag == "--ready-fd" && has_value) {
      flags.ready_fd = std::atoi(argv[++i]);
      if (flags.ready_fd < 3) return std::nullopt;
    } else if (flag == "--mock") {
      flags.mock = true;
    } else {
      return std::nullopt;
    }
  }
  if (flags.directory.empty()) return std::nullopt;
  return flags;
}

}  // namespace leat::agent
