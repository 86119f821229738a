#pragma once

// completion_script.h - what a shell needs to know to complete words of a command line.

#include <span>
#include <string>

#include "cli/command.h"

namespace leat::cli {

// Scripts for bash and zsh, made from what the commands declare. The same commands give the same
// bytes.
std::string bash_completion(std::span<const CommandEntry* const> commands);
std::string zsh_completion(std::span<const CommandEntry* const> commands);

}  // namespace leat::cli
