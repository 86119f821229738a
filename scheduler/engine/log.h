#pragma once

// log.h - one line to the head's log, for people.

#include <functional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace leat::engine {

// Takes one line without its end. main.cc limits the rate and drops control characters. Never
// given a secret.
using Log = std::function<void(std::string_view line)>;

// A node, as lines of the log call it.
inline std::string text_of(NodeRef node) {
  return "node " + std::to_string(node.id.value);
}

}  // namespace leat::engine
