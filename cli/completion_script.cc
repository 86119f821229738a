#include "cli/completion_script.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "cli/help.h"

namespace leat::cli {
namespace {

// What stands in the place of a value.
enum class Kind : std::uint8_t { kOther, kFile, kDirectory, kJob };

Kind kind_of(const std::string& metavar) {
  if (metavar.rfind("JOB", 0) == 0) return Kind::kJob;
  if (metavar.rfind("FILE", 0) == 0) return Kind::kFile;
  return metavar == "DIR" ? Kind::kDirectory : Kind::kOther;
}

const char* word_of(Kind kind) {
  switch (kind) {
    case Kind::kFile:
      return "file";
    case Kind::kDirectory:
      return "dir";
    case Kind::kJob:
      return "job";
    case Kind::kOther:
      break;
  }
  return "none";
}

std::vector<std::string> names_of(const Arguments::Option& option) {
  const std::size_t comma = option.names.find(',');
  if (comma == std::string::npos) return {option.names};
  return {option.names.substr(0, comma), option.names.substr(comma + 1)};
}

// One command with its options declared.
struct Declared {
  explicit Declared(const CommandEntry& command) : entry(command), built(command.build()) {
    built->declare(arguments);
    declare_common(arguments, home, help);
  }

  const CommandEntry& entry;
  std::unique_ptr<Command> built;
  Arguments arguments;
  std::optional<std::string> home;
  bool help = false;
};

std::string first_words(std::span<const CommandEntry* const> commands) {
  std::set<std::string> words;
  for (const CommandEntry* const command : commands)
    words.insert(std::string(command->name.substr(0, command->name.find(' '))));
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// "job" -> "list show", for all names of two words.
std::map<std::string, std::string> second_words(std::span<const CommandEntry* const> commands) {
  std::map<std::string, std::string> words;
  for (const CommandEntry* const command : commands) {
    const std::size_t blank = command->name.find(' ');
    if (blank == std::string_view::npos) continue;
    std::string& seconds = words[std::string(command->name.substr(0, blank))];
    seconds += (seconds.empty() ? "" : " ") + std::string(command->name.substr(blank + 1));
  }
  return words;
}

// "'" inside single quotes, for either shell.
std::string in_quotes(std::string_view text) {
  std::string quoted;
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted;
}

std::string bash_case(const Declared& command) {
  std::string options;
  std::string values;
  for (const Arguments::Option& option : command.arguments.options()) {
    for (const std::string& name : names_of(option)) {
      options += (options.empty() ? "" : " ") + name;
      if (option.metavar.empty() || !option.choices.empty()) continue;
      values += (values.empty() ? "" : " ") + name + ':' + word_of(kind_of(option.metavar));
    }
  }
  std::string operand = "none";
  if (!command.arguments.operands().empty())
    operand = word_of(kind_of(command.arguments.operands().front().metavar));
  const bool rest = !command.arguments.rest_metavar().empty();
  return "    '" + std::string(command.entry.name) + "')\n      options='" + in_quotes(options) +
         "'\n      values='" + in_quotes(values) + "'\n      operand=" + operand +
         "\n      rest=" + (rest ? "program" : "none") + "\n      ;;\n";
}

constexpr std::string_view kBashHead =
    R"sh(# leat.bash - completes words of leat in bash. Made by: leat completion bash

_leat_fill() {
  local kind=$1 current=$2
  case $kind in
    file) COMPREPLY=($(compgen -f -- "$current")); compopt -o filenames 2>/dev/null ;;
    dir) COMPREPLY=($(compgen -d -- "$current")); compopt -o filenames 2>/dev/null ;;
    program) COMPREPLY=($(compgen -c -f -- "$current")) ;;
    job) COMPREPLY=($(compgen -W "last $(_leat_jobs)" -- "$current")) ;;
    *) COMPREPLY=() ;;
  esac
}

# Ids of the newest jobs, if a head answers.
_leat_jobs() {
  leat ${home:+--home "$home"} job list --limit 50 2>/dev/null | while read -r id _; do
    case $id in [0-9]*) echo "$id" ;; esac
  done
}
)sh";

constexpr std::string_view kBashTail = R"sh(
_leat() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local first= second= home= rest= i
  local options= values= operand=none past=
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --) past=yes; break ;;
      --home) home=${COMP_WORDS[i + 1]}; ((i++)) ;;
      -*) ;;
      *)
        if [ -z "$first" ]; then
          first=${COMP_WORDS[i]}
        elif [ -z "$second" ]; then
          second=${COMP_WORDS[i]}
        fi
        ;;
    esac
  done
  if [ "$previous" = --home ] && [ -z "$past" ]; then
    _leat_fill dir "$current"
    return
  fi
  if [ -z "$first" ]; then
    COMPREPLY=($(compgen -W "$(_leat_words) --home --version --help" -- "$current"))
    return
  fi
  local seconds
  seconds=$(_leat_seconds "$first")
  if [ -n "$seconds" ] && [ -z "$second" ]; then
    COMPREPLY=($(compgen -W "$seconds" -- "$current"))
    return
  fi
  _leat_command "$first${seconds:+ $second}" || return
  if [ -n "$past" ]; then
    _leat_fill "$rest" "$current"
    return
  fi
  local value
  for value in $values; do
    if [ "${value%%:*}" = "$previous" ]; then
      _leat_fill "${value#*:}" "$current"
      return
    fi
  done
  case $current in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    *) _leat_fill "$operand" "$current" ;;
  esac
}

complete -F _leat leat
)sh";

// What _arguments wants to have escaped in a description.
std::string zsh_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return in_quotes(escaped);
}

// Of an option that may stand alone.
std::string zsh_choice(const Arguments::Option& option) {
  std::string words;
  for (const std::string& word : option.choices) words += (words.empty() ? "" : " ") + word;
  return "::" + zsh_text(option.metavar) + ":(" + zsh_text(words) + ')';
}

std::string zsh_value(const std::string& metavar) {
  switch (kind_of(metavar)) {
    case Kind::kFile:
      return ":" + zsh_text(metavar) + ":_files";
    case Kind::kDirectory:
      return ":" + zsh_text(metavar) + ":_files -/";
    case Kind::kJob:
      return ":" + zsh_text(metavar) + ":_leat_jobs";
    case Kind::kOther:
      break;
  }
  return ":" + zsh_text(metavar) + ": ";
}

std::string zsh_case(const Declared& command) {
  std::string specs;
  for (const Arguments::Option& option : command.arguments.options()) {
    const bool list = option.target.index() == 2;
    for (const std::string& name : names_of(option)) {
      specs += " \\\n        '" + std::string(list ? "*" : "") + name + '[' +
               zsh_text(option.help) + ']' +
               (!option.choices.empty()  ? zsh_choice(option)
                : option.metavar.empty() ? ""
                                         : zsh_value(option.metavar)) +
               '\'';
    }
  }
  int place = 0;
  for (const Arguments::Operand& operand : command.arguments.operands())
    specs += " \\\n        '" + std::to_string(++place) + zsh_value(operand.metavar) + '\'';
  if (!command.arguments.rest_metavar().empty()) specs += " \\\n        '*::program:_normal'";
  return "    '" + std::string(command.entry.name) + "')\n      _arguments -S" + specs +
         "\n      ;;\n";
}

}  // namespace

std::string bash_completion(std::span<const CommandEntry* const> commands) {
  std::string script(kBashHead);
  script += "\n_leat_words() {\n  echo '" + first_words(commands) + "'\n}\n";
  script += "\n_leat_seconds() {\n  case $1 in\n";
  for (const auto& [first, seconds] : second_words(commands))
    script.append("    '").append(first).append("') echo '").append(seconds).append("' ;;\n");
  script +=
      "  esac\n}\n\n# Sets options, values, operand and rest of one command.\n"
      "_leat_command() {\n  case $1 in\n";
  for (const CommandEntry* const command : commands) script += bash_case(Declared(*command));
  script += "    *) return 1 ;;\n  esac\n}\n";
  return script += kBashTail;
}

std::string zsh_completion(std::span<const CommandEntry* const> commands) {
  std::string script =
      "#compdef leat\n# _leat - completes words of leat in zsh. Made by: leat completion zsh\n\n"
      "_leat_jobs() {\n"
      "  local -a ids\n"
      "  ids=(last ${(f)\"$(leat job list --limit 50 2>/dev/null | awk '$1 ~ /^[0-9]/ "
      "{print $1}')\"})\n"
      "  compadd -a ids\n}\n\n_leat() {\n"
      "  local -a firsts seconds\n"
      "  local command\n"
      "  firsts=(" +
      first_words(commands) +
      ")\n"
      "  if (( CURRENT == 2 )); then\n"
      "    compadd -a firsts\n"
      "    compadd -- --home --version --help\n"
      "    return\n"
      "  fi\n"
      "  command=$words[2]\n"
      "  case $command in\n";
  for (const auto& [first, seconds] : second_words(commands))
    script.append("    '").append(first).append("') seconds=(").append(seconds).append(") ;;\n");
  script +=
      "  esac\n"
      "  if (( $#seconds )); then\n"
      "    if (( CURRENT == 3 )); then\n"
      "      compadd -a seconds\n"
      "      return\n"
      "    fi\n"
      "    command+=\" $words[3]\"\n"
      "    shift words\n"
      "    (( CURRENT-- ))\n"
      "  fi\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $command in\n";
  for (const CommandEntry* const command : commands) script += zsh_case(Declared(*command));
  return script + "  esac\n}\n\n_leat \"$@\"\n";
}

}  // namespace leat::cli
