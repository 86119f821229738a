#pragma once

// flags.h - what leat-agent is told on its command line.

#include <optional>
#include <string>

namespace leat::agent {

struct Flags {
  std::string directory;
  std::string bind = "127.0.0.1:0";
  bool mock = false;
  int ready_fd = -1;  // told there when the node has joined; -1: nobody
};

// Nothing if it makes no sense.
std::optional<Flags> parse_flags(int argc, char** argv);

}  // namespace leat::agent
