#include "examples/mpi/heat/parameters.h"

#include <algorithm>

#include "examples/mpi/heat/rank_main.h"

namespace heat {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw BadInput("parameter " + name + ": " + why);
}

bool is_of_kind(const Json& value, const Json& known) {
  if (known.is_string()) return value.is_string();
  if (known.is_number_float()) return value.is_number();
  return value.is_number_unsigned();  // none of the whole ones may be negative
}

void take(Json& parameters, const std::string& name, const Json& value) {
  if (!parameters.contains(name)) {
    std::string names;
    for (const auto& [known, ignored] : parameters.items()) names += " " + known;
    refuse(name, "there is none of that name, only" + names);
  }
  if (!is_of_kind(value, parameters[name]))
    refuse(name, value.dump() + " is not of the kind of " + parameters[name].dump());
  parameters[name] = value;
}

void take_arguments(Json& parameters, const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    std::string name = arguments[i];
    if (!name.starts_with("--")) refuse(name, "begin its name with --");
    if (i + 1 == arguments.size()) refuse(name, "needs a value");
    name.erase(0, 2);
    std::replace(name.begin(), name.end(), '-', '_');
    const bool is_text = parameters.contains(name) && parameters[name].is_string();
    Json value = is_text ? Json() : Json::parse(arguments[i + 1], nullptr, false);
    if (is_text || value.is_discarded()) value = arguments[i + 1];
    take(parameters, name, value);
  }
}

void check(const Parameters& of) {
  if (of.size < 1 || of.size > kSizeMax) refuse("size", "1 to " + std::to_string(kSizeMax));
  if (of.steps < 0 || of.steps > kStepsMax) refuse("steps", "0 to " + std::to_string(kStepsMax));
  if (!(of.tolerance >= 0)) refuse("tolerance", "0 or more");
  if (!(of.conductivity > 0 && of.conductivity <= 0.25))
    refuse("conductivity", "more than 0, and at most 0.25: beyond it the steps do not settle");
  if (of.start != "cold" && of.start != "spots" && of.start != "wave")
    refuse("start", "cold, spots or wave");
  if (of.checkpoint_every < 0) refuse("checkpoint_every", "0 or more");
}

}  // namespace

Parameters read_parameters(const leat::Task& task) {
  Json parameters = Parameters{};
  if (task.input()) {
    const Json input = Json::parse(*task.input(), nullptr, false);
    if (!input.is_object()) throw BadInput("the task's input is no JSON object: " + *task.input());
    for (const auto& [name, value] : input.items()) take(parameters, name, value);
  }
  take_arguments(parameters, task.arguments());
  const auto read = parameters.get<Parameters>();
  check(read);
  return read;
}

std::string identity_of(const Parameters& parameters) {
  Json identity = parameters;
  for (const char* other : {"steps", "tolerance", "checkpoint_every", "picture", "field"})
    identity.erase(other);
  return identity.dump();
}

}  // namespace heat
