#pragma once

// task_words.h - the arguments of a task whose input line stands in them.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "node-agent/messages.h"

namespace leat::agent {

// Whether tasks of this stage may differ in their arguments: their lines name files or are objects,
// and something stands in braces behind the program's name.
bool has_own_words(const StageSpec& spec);

// What follows the program's name, for the task with this input line: `{}` is the file's name,
// `{field}` the object's field (texts as they are, null as nothing, the rest as JSON); what the
// object does not have is left as it stands. Refused if there is no such line, or a value that no
// argument can hold.
Result<std::vector<std::string>> words_of(const StageSpec& spec,
                                          const std::optional<std::string>& line);

}  // namespace leat::agent
