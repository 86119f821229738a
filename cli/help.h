#pragma once

// help.h - what --help prints.

#include <span>
#include <string>

#include "cli/command.h"

namespace leat::cli {

// `leat --help`: every command with its summary.
std::string general_help(std::span<const CommandEntry* const> commands);

// `leat NAME --help`: usage, details with an example, options.
std::string command_help(const CommandEntry& entry, const Arguments& arguments);

// Declares --home and --help, which every command has.
void declare_common(Arguments& arguments, std::optional<std::string>& home, bool& help);

}  // namespace leat::cli
