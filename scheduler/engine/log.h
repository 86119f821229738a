#pragma once

// log.h - one line to the head's log, for people.

#include <functional>
#include <string_view>

namespace leat::engine {

// Takes one line without its end. main.cc limits the rate and drops control characters. Never
// given a secret.
using Log = std::function<void(std::string_view line)>;

}  // namespace leat::engine
