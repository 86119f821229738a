#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

namespace leat::cli {
namespace {

// "-f,--follow" has the name `name`.
bool is_named(const std::string& names, std::string_view name) {
  const std::size_t comma = names.find(',');
  return names == name ||
         (comma != std::string::npos && (name == std::string_view(names).substr(0, comma) ||
                                         name == std::string_view(names).substr(comma + 1)));
}

// Whether `option`, given without a '=', has no value: `next` is none of its own.
bool stands_alone(const Arguments::Option& option, const std::string& next) {
  const std::vector<std::string>& own = option.choices;
  return !own.empty() && std::find(own.begin(), own.end(), next) == own.end();
}

// What CLI11 says, in one line and without its class names.
Refusal translate(const CLI::ParseError& error) {
  std::string line = error.what();
  std::replace(line.begin(), line.end(), '\n', ' ');
  if (line.rfind("The following argument", 0) == 0) {
    const std::size_t colon = line.find(": ");
    line = "unknown argument" + line.substr(std::min(colon, line.size()));
  }
  return invalid(line);
}

}  // namespace

void Arguments::flag(std::string names, bool& value, std::string help) {
  options_.push_back({std::move(names), "", std::move(help), &value});
}

void Arguments::option(std::string names, std::string metavar, std::optional<std::string>& value,
                       std::string help) {
  options_.push_back({std::move(names), std::move(metavar), std::move(help), &value});
}

void Arguments::choice(std::string names, std::vector<std::string> choices,
                       std::optional<std::string>& value, std::string help) {
  std::string metavar;
  for (const std::string& word : choices) metavar += (metavar.empty() ? "" : "|") + word;
  options_.push_back(
      {std::move(names), std::move(metavar), std::move(help), &value, std::move(choices)});
}

void Arguments::list(std::string names, std::string metavar, std::vector<std::string>& values,
                     std::string help) {
  options_.push_back({std::move(names), std::move(metavar), std::move(help), &values});
}

void Arguments::operand(std::string metavar, std::optional<std::string>& value, std::string help,
                        bool required) {
  operands_.push_back({std::move(metavar), std::move(help), &value, required});
}

void Arguments::rest(std::string metavar, std::vector<std::string>& values, bool required) {
  rest_metavar_ = std::move(metavar);
  rest_ = &values;
  rest_required_ = required;
}

const Arguments::Option* Arguments::find(std::string_view name) const {
  for (const Option& option : options_)
    if (is_named(option.names, name)) return &option;
  return nullptr;
}

// "--env A=-1" becomes "--env==A=-1", so that the parser need not guess what a value looks like,
// nor whether it is empty: it starts with a '=' that parse_joined() takes off again. One that may
// stand alone and does, is "--mpi==".
std::vector<std::string> Arguments::join_values(std::vector<std::string> words) const {
  std::vector<std::string> joined;
  bool ours = true;  // what follows "--" is not
  for (std::size_t i = 0; i < words.size(); ++i) {
    ours = ours && words[i] != "--";
    const std::size_t equals = words[i].find('=');
    const Option* const option =
        words[i].rfind("--", 0) == 0 ? find(std::string_view(words[i]).substr(0, equals)) : nullptr;
    const bool takes_value = ours && option != nullptr && !option->metavar.empty();
    const bool takes_any = takes_value && option->target.index() == 2;
    const bool has_next = i + 1 < words.size();
    if (takes_value && equals != std::string::npos) {
      joined.push_back(words[i].insert(equals, "="));
    } else if (takes_value && stands_alone(*option, has_next ? words[i + 1] : "")) {
      joined.push_back(words[i] + "==");
    } else if (takes_value && has_next && (takes_any || words[i + 1].rfind("--", 0) != 0)) {
      joined.push_back(words[i] + "==" + words[i + 1]);
      ++i;
    } else {
      joined.push_back(std::move(words[i]));
    }
  }
  return joined;
}

Result<Done> Arguments::parse(std::vector<std::string> words) {
  // A list's value may be "--" itself, so values are joined before the separator is looked for.
  words = join_values(std::move(words));
  const auto separator = std::find(words.begin(), words.end(), "--");
  if (rest_ != nullptr) {
    const bool missing = separator == words.end() ? rest_required_ : separator + 1 == words.end();
    if (missing) return invalid("nothing to run: put -- " + rest_metavar_ + " at the end");
    if (separator != words.end()) rest_->assign(separator + 1, words.end());
  } else if (separator != words.end()) {
    return invalid("unknown argument: --");
  }
  words.erase(separator, words.end());
  const Result<Done> shaped = check_shape(words);
  return shaped.ok() ? parse_joined(std::move(words)) : shaped;
}

// The parser would take the next option for a missing value, and a flag's value for true.
Result<Done> Arguments::check_shape(const std::vector<std::string>& joined) const {
  for (const std::string& word : joined) {
    const std::size_t equals = word.find('=');
    const Option* const option = find(std::string_view(word).substr(0, equals));
    const bool long_form = word.rfind("--", 0) == 0;
    if (option == nullptr && long_form) return invalid("unknown option " + word.substr(0, equals));
    if (option == nullptr) continue;
    if (option->metavar.empty() && equals != std::string::npos)
      return invalid(word + ": this option takes no value");
    if (!option->metavar.empty() && equals == std::string::npos)
      return invalid(word + ": " + option->metavar + " is missing");
  }
  return Done{};
}

Result<Done> Arguments::parse_joined(std::vector<std::string> words) {
  CLI::App app;
  app.set_help_flag();
  std::vector<std::pair<const Option*, CLI::Option*>> bound;
  for (const Option& option : options_) {
    if (bool* const* const flag = std::get_if<bool*>(&option.target)) {
      app.add_flag(option.names, **flag);
      continue;
    }
    CLI::Option* const parsed = app.add_option(option.names);
    parsed->type_size(1)->expected(1)->allow_extra_args(false);
    parsed->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    bound.emplace_back(&option, parsed);
  }
  std::vector<std::string> operands;
  CLI::Option* const rest_of_line = app.add_option("operands", operands);
  if (operands_.empty()) app.remove_option(rest_of_line);
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return translate(error);
  }
  for (const auto& [option, parsed] : bound) {
    if (parsed->count() == 0) continue;
    if (parsed->count() > 1 && option->target.index() != 2)
      return invalid(option->names + ": given twice");
    for (const std::string& marked : parsed->results()) {
      const std::string value = marked.substr(1);
      if (option->target.index() == 2) {
        std::get<2>(option->target)->push_back(value);
      } else {
        *std::get<1>(option->target) = value;
      }
    }
  }
  if (operands.size() > operands_.size())
    return invalid("unknown argument: " + operands[operands_.size()]);
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    if (i < operands.size()) {
      *operands_[i].target = operands[i];
    } else if (operands_[i].required) {
      return invalid(operands_[i].metavar + " is missing");
    }
  }
  return Done{};
}

bool Arguments::asks_for_help(const std::vector<std::string>& words) const {
  for (const std::string& word : join_values(words)) {
    if (word == "--") return false;
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

}  // namespace leat::cli
