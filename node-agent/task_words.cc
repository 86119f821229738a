#include "node-agent/task_words.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/placeholders.h"

namespace leat::agent {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? std::string() : value.dump();
}

}  // namespace

bool has_own_words(const StageSpec& spec) {
  const std::vector<std::string>& argv = spec.program.argv;
  if (spec.inputs.kind != Inputs::Kind::kLines || spec.inputs.use == Inputs::Use::kStream)
    return false;
  return std::any_of(argv.begin() + 1, argv.end(), [](const std::string& argument) {
    return argument.find('{') != std::string::npos;
  });
}

Result<std::vector<std::string>> words_of(const StageSpec& spec,
                                          const std::optional<std::string>& line) {
  if (!line) return invalid("there is no input line to take arguments from");
  Json object;
  if (spec.inputs.use == Inputs::Use::kObject) {
    object = Json::parse(*line, nullptr, false);
    if (!object.is_object()) return invalid("the input line is not a JSON object");
  }
  const auto value_of = [&](std::string_view name) -> std::optional<std::string> {
    if (spec.inputs.use == Inputs::Use::kFile)
      return name.empty() ? std::optional<std::string>(*line) : std::nullopt;
    const auto field = object.find(std::string(name));
    return field == object.end() ? std::nullopt : std::optional<std::string>(text_of(*field));
  };
  std::vector<std::string> words;
  for (std::size_t i = 1; i < spec.program.argv.size(); ++i) {
    words.push_back(fill_placeholders(spec.program.argv[i], value_of));
    if (words.back().find('\0') != std::string::npos)
      return invalid("an argument would hold a zero byte");
  }
  return words;
}

}  // namespace leat::agent
