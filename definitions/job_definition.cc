#include "definitions/job_definition.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/utf8.h"

namespace leat::definitions {
namespace {

const JobField& field_of(std::string_view name) {
  const auto fields = job_fields();
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [name](const JobField& field) { return field.name == name; });
  LEAT_CHECK(found != fields.end());
  return *found;
}

// As TOML writes a text.
std::string toml_string(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string list_of(const std::vector<Word>& words) {
  std::string out = "[";
  for (const Word& word : words) out += (out.size() > 1 ? ", " : "") + toml_string(word.text);
  return out + "]";
}

// A whole number that TOML's integers hold, as TOML writes it: without leading zeros.
std::optional<std::string> whole_number(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  const bool digits =
      !text.empty() && text.size() <= 18 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return std::nullopt;
  while (text.size() > 1 && text.front() == '0') text.remove_prefix(1);
  return (negative ? "-" : "") + std::string(text);
}

std::string table_of(const std::vector<Word>& variables) {
  // The last word about a name counts, and says where it stands.
  std::string out;
  for (std::size_t n = 0; n < variables.size(); ++n) {
    const std::string& word = variables[n].text;
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    const bool again =
        std::any_of(variables.begin() + static_cast<std::ptrdiff_t>(n) + 1, variables.end(),
                    [&name](const Word& later) { return later.text.rfind(name + '=', 0) == 0; });
    if (!again)
      out += toml_string(name) + " = " +
             toml_string(word.substr(std::min(equals + 1, word.size()))) + '\n';
  }
  return out;
}

}  // namespace

const Word* JobDefinition::find(std::string_view field) const {
  const std::vector<Word>& words = all(field);
  return words.empty() ? nullptr : &words.back();
}

const std::vector<Word>& JobDefinition::all(std::string_view field) const {
  static const std::vector<Word> kNone;
  (void)field_of(field);  // dies of a name that is in no table
  const auto at = words_.find(field);
  return at == words_.end() ? kNone : at->second;
}

void JobDefinition::add(std::string_view field, Word word) {
  (void)field_of(field);
  words_[std::string(field)].push_back(std::move(word));
}

bool operator==(const JobDefinition& a, const JobDefinition& b) {
  return a.command == b.command && a.stages == b.stages && a.words_ == b.words_;
}

void JobDefinition::override_with(const JobDefinition& over) {
  if (!over.command.empty()) command = over.command;
  for (const auto& [name, words] : over.words_) {
    std::vector<Word>& mine = words_[name];
    if (field_of(name).kind != FieldKind::kVariables) mine.clear();
    mine.insert(mine.end(), words.begin(), words.end());
  }
}

namespace {

// All that is said of a job, or of a stage whose tables are called `prefix`KEY; its first key that
// is not UTF-8 goes to `bad`.
std::string print_fields(const JobDefinition& job, const std::string& prefix, std::string& bad) {
  std::string text;
  std::string tables;
  const auto check = [&bad](const std::string& key, const std::vector<Word>& words) {
    for (const Word& word : words)
      if (!is_utf8(word.text) && bad.empty()) bad = key;
  };
  check("command", job.command);
  if (!job.command.empty()) text += "command = " + list_of(job.command) + '\n';
  for (const JobField& field : job_fields()) {
    const std::vector<Word>& words = job.all(field.name);
    const std::string key = key_of(field.name);
    check(key, words);
    if (words.empty()) continue;
    const std::string& last = words.back().text;
    switch (field.kind) {
      case FieldKind::kText:
        text += key + " = " + toml_string(last) + '\n';
        break;
      case FieldKind::kNumber:
      case FieldKind::kAmount:
        text += key + " = " + whole_number(last).value_or(toml_string(last)) + '\n';
        break;
      case FieldKind::kFlag:
        text += key + " = true\n";
        break;
      case FieldKind::kChoice:
        text += key + " = " + (last.empty() ? "true" : toml_string(last)) + '\n';
        break;
      case FieldKind::kTexts:
        text += key + " = " + list_of(words) + '\n';
        break;
      case FieldKind::kVariables:
        tables.append("\n[").append(prefix).append(key).append("]\n").append(table_of(words));
        break;
    }
  }
  return text + tables;
}

std::string print_after(const StageAfter& after) {
  if (!after.each && after.on.text.empty()) return toml_string(after.stage.text);
  return "{stage = " + toml_string(after.stage.text) + (after.each ? ", each = true" : "") +
         (after.on.text.empty() ? "" : ", on = " + toml_string(after.on.text)) + "}";
}

std::string print_stage(const StageDefinition& stage, std::string& bad) {
  std::string text = "\n[[stage]]\n";
  std::vector<const Word*> words{&stage.name, &stage.reduces, &stage.width};
  for (const StageAfter& after : stage.after) words.insert(words.end(), {&after.stage, &after.on});
  for (const Word* word : words)
    if (!is_utf8(word->text) && bad.empty()) bad = "stage";
  if (!stage.name.text.empty()) text += "name = " + toml_string(stage.name.text) + '\n';
  std::string list;
  for (const StageAfter& after : stage.after)
    list += (list.empty() ? "" : ", ") + print_after(after);
  if (!list.empty()) text += "after = [" + list + "]\n";
  if (!stage.reduces.text.empty()) text += "reduces = " + toml_string(stage.reduces.text) + '\n';
  if (!stage.width.text.empty()) text += "width = " + stage.width.text + '\n';
  if (stage.result) text += "result = true\n";
  return text + print_fields(stage.said, "stage.", bad);
}

}  // namespace

Result<std::string> print_job(const JobDefinition& job) {
  std::string bad;
  std::string text = print_fields(job, "", bad);
  for (const StageDefinition& stage : job.stages) text += print_stage(stage, bad);
  if (!bad.empty()) return invalid(bad + " is not UTF-8, which a TOML file must be");
  return text;
}

}  // namespace leat::definitions
