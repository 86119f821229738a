#include "cli/help.h"

#include <algorithm>

namespace leat::cli {
namespace {

constexpr std::size_t kColumnMax = 26;

// "  left      right", right on a line of its own if left is long.
std::string entry_line(const std::string& left, const std::string& right, std::size_t width) {
  if (left.size() > width) return "  " + left + "\n" + std::string(width + 4, ' ') + right + '\n';
  return "  " + left + std::string(width - left.size() + 2, ' ') + right + '\n';
}

std::string left_of(const Arguments::Option& option) {
  std::string names = option.names;
  const std::size_t comma = names.find(',');
  if (comma != std::string::npos) names.insert(comma + 1, " ");
  if (!option.choices.empty()) return names + "[=" + option.metavar + ']';
  return option.metavar.empty() ? names : names + ' ' + option.metavar;
}

std::string usage_line(const CommandEntry& entry, const Arguments& arguments) {
  std::string usage = "leat " + std::string(entry.name) + " [OPTIONS]";
  for (const Arguments::Operand& operand : arguments.operands())
    usage += operand.required ? ' ' + operand.metavar : " [" + operand.metavar + ']';
  const std::string rest = "-- " + arguments.rest_metavar();
  if (!arguments.rest_metavar().empty())
    usage += arguments.rest_required() ? ' ' + rest : " [" + rest + ']';
  return usage;
}

}  // namespace

std::string general_help(std::span<const CommandEntry* const> commands) {
  std::string help =
      "leat - run many tasks on a pool of nodes, and bring one result back\n\n"
      "Usage: leat [--home DIR] COMMAND [OPTIONS]\n\nCommands:\n";
  std::size_t width = 0;
  for (const CommandEntry* const command : commands) width = std::max(width, command->name.size());
  for (const CommandEntry* const command : commands)
    help += entry_line(std::string(command->name), std::string(command->summary), width);
  help +=
      "\nExample:\n"
      "  leat up --local 2\n"
      "  leat submit --array 1-100 --reduce sort --progress -- ./simulate --seed 7\n"
      "  leat result last\n"
      "\nThe cluster lives in --home DIR, else LEAT_HOME, else /var/tmp/leat-UID.\n"
      "Exit codes: 0 done, 1 the work failed, 2 usage or bad input, 3 head unreachable,\n"
      "4 refused, 124 timed out. `leat COMMAND --help` tells more.\n";
  return help;
}

std::string command_help(const CommandEntry& entry, const Arguments& arguments) {
  std::string help = "leat " + std::string(entry.name) + " - " + std::string(entry.summary) +
                     "\n\nUsage: " + usage_line(entry, arguments) + "\n\n" +
                     std::string(entry.details) + "\n\n";
  std::size_t width = 0;
  for (const Arguments::Option& option : arguments.options())
    width = std::max(width, std::min(kColumnMax, left_of(option).size()));
  for (const Arguments::Operand& operand : arguments.operands())
    width = std::max(width, std::min(kColumnMax, operand.metavar.size()));
  if (!arguments.operands().empty()) {
    help += "Operands:\n";
    for (const Arguments::Operand& operand : arguments.operands())
      help += entry_line(operand.metavar, operand.help, width);
    help += '\n';
  }
  help += "Options:\n";
  for (const Arguments::Option& option : arguments.options())
    help += entry_line(left_of(option), option.help, width);
  return help;
}

void declare_common(Arguments& arguments, std::optional<std::string>& home, bool& help) {
  arguments.option("--home", "DIR", home,
                   "the cluster's directory (default: LEAT_HOME, else /var/tmp/leat-UID)");
  arguments.flag("-h,--help", help, "print this");
}

}  // namespace leat::cli
