#pragma once

// input_json.h - what a task is for, as a type: the object of `leat submit --from-json`.
//
// Only programs that have nlohmann/json (nlohmann-json3-dev) include it; the SDK's library does
// not need it.
//
// Source:  Task::input(); where that is empty because the line is too long for a variable, the
//          first line of standard input.
// Errors:  TaskError: there is no input, or it is not such an object; what() quotes the reason.

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include <leat/task.h>

namespace leat {

// REQUIRES: nlohmann::json can be read as T: NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(T, fields…).
template <typename T>
T input_as(const Task& task) {
  std::string text = task.input().value_or("");
  if (!task.input() && !std::getline(std::cin, text))
    throw TaskError("the task has no input; submit with --from-json");
  try {
    return nlohmann::json::parse(text).template get<T>();
  } catch (const nlohmann::json::exception& error) {
    throw TaskError(std::string("the task's input cannot be read: ") + error.what());
  }
}

}  // namespace leat
