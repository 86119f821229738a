// job_file.cc - a job's TOML file, read into a definition.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "definitions/document.h"
#include "definitions/job_definition.h"

namespace leat::definitions {
namespace {

const char* wanted(FieldKind kind) {
  switch (kind) {
    case FieldKind::kText:
      return "wants a text in quotes";
    case FieldKind::kNumber:
      return "wants a whole number";
    case FieldKind::kAmount:
      return "wants a number, or a text in quotes like \"2G\"";
    case FieldKind::kFlag:
      return "wants true or false";
    case FieldKind::kChoice:
      return "wants true, false, or a text in quotes";
    case FieldKind::kTexts:
      return "wants a list of texts, like [\"a\", \"b\"]";
    case FieldKind::kVariables:
      return "wants a table of texts, like NAME = \"VALUE\"";
  }
  return "";
}

// Reads one table, remembers the first thing that is wrong with it.
class JobReader {
 public:
  JobReader(const Table& table, const std::string& file) : table_(table), file_(file) {}

  Result<JobDefinition> read() {
    for (const Entry& entry : table_) {
      if (refusal_) return *refusal_;
      if (entry.key == "command") {
        read_list(entry.item, "command", job_.command);
      } else if (entry.key == "stage") {
        read_stages(entry);
      } else {
        read_field(entry);
      }
    }
    if (refusal_) return *refusal_;
    return std::move(job_);
  }

  // The same keys, and those that only stages have.
  Result<StageDefinition> read_stage(Place at) {
    StageDefinition stage;
    stage.where = place(at, "stage");
    for (const Entry& entry : table_) {
      if (refusal_) return *refusal_;
      if (entry.key == "command") {
        read_list(entry.item, "command", job_.command);
      } else if (!read_stage_key(entry, stage)) {
        read_field(entry, "stage");
      }
    }
    if (refusal_) return *refusal_;
    stage.said = std::move(job_);
    return stage;
  }

 private:
  void read_stages(const Entry& entry) {
    const auto* list = std::get_if<Items>(&entry.item.value);
    if (list == nullptr || list->empty())
      return refuse_at(entry.item.at, "stage wants tables: write [[stage]] above each");
    for (const Item& item : *list) {
      const auto* table = std::get_if<Table>(&item.value);
      if (table == nullptr)
        return refuse_at(item.at, "stage wants tables: write [[stage]] above each");
      Result<StageDefinition> stage = JobReader(*table, file_).read_stage(item.at);
      if (!stage.ok()) {
        if (!refusal_) refusal_ = stage.refusal();
        return;
      }
      job_.stages.push_back(std::move(stage).value());
    }
  }

  bool read_stage_key(const Entry& entry, StageDefinition& stage) {
    std::vector<Word> words;
    if (entry.key == "name" || entry.key == "reduces") {
      read_one(entry, FieldKind::kText, words);
      if (!words.empty()) (entry.key == "name" ? stage.name : stage.reduces) = words[0];
    } else if (entry.key == "width") {
      read_one(entry, FieldKind::kNumber, words);
      if (!words.empty()) stage.width = words[0];
    } else if (entry.key == "result") {
      read_flag(entry, FieldKind::kFlag, words);
      stage.result = !words.empty();
    } else if (entry.key == "after") {
      read_after(entry, stage);
    } else {
      return false;
    }
    return true;
  }

  void read_after(const Entry& entry, StageDefinition& stage) {
    static constexpr const char* kWanted =
        "after wants a list of names of stages, or of tables like {stage = \"NAME\", each = true, "
        "on = \"any\"}";
    const auto* list = std::get_if<Items>(&entry.item.value);
    if (list == nullptr) return refuse_at(entry.item.at, kWanted);
    for (const Item& item : *list) {
      std::vector<Word> name;
      StageAfter after;
      if (const auto* text = std::get_if<std::string>(&item.value)) {
        add_text(item.at, "after", *text, name);
      } else if (const auto* table = std::get_if<Table>(&item.value)) {
        for (const Entry& part : *table) {
          std::vector<Word> words;
          if (part.key == "stage") {
            read_one(part, FieldKind::kText, name);
          } else if (part.key == "on") {
            read_one(part, FieldKind::kText, words);
            if (!words.empty()) after.on = words[0];
          } else if (part.key == "each") {
            read_flag(part, FieldKind::kFlag, words);
            after.each = !words.empty();
          } else {
            return refuse_at(part.at, kWanted);
          }
        }
      }
      if (name.empty()) return refuse_at(item.at, kWanted);
      after.stage = name[0];
      stage.after.push_back(std::move(after));
    }
  }

  void refuse_at(Place at, const std::string& what) {
    if (!refusal_) refusal_ = refusal_at(file_, at, what);
  }

  std::string place(Place at, const std::string& key) const {
    return refusal_at(file_, at, key).message;
  }

  void read_field(const Entry& entry, const std::string& of = "job") {
    const auto fields = job_fields();
    const auto field = std::find_if(fields.begin(), fields.end(), [&entry](const JobField& f) {
      return key_of(f.name) == entry.key;
    });
    if (field == fields.end()) return refuse_unknown(entry, of);
    std::vector<Word> words;
    switch (field->kind) {
      case FieldKind::kText:
      case FieldKind::kNumber:
      case FieldKind::kAmount:
        read_one(entry, field->kind, words);
        break;
      case FieldKind::kFlag:
        read_flag(entry, field->kind, words);
        break;
      case FieldKind::kChoice:
        read_choice(entry, words);
        break;
      case FieldKind::kTexts:
        read_list(entry.item, entry.key, words);
        break;
      case FieldKind::kVariables:
        read_table(entry, words);
        break;
    }
    for (Word& word : words) job_.add(field->name, std::move(word));
  }

  void refuse_unknown(const Entry& entry, const std::string& of) {
    const bool stage = of == "stage";
    std::string known = stage ? "name, after, reduces, width, result, command" : "command";
    for (const JobField& field : job_fields()) {
      const FieldScope scope = scope_of(field.name);
      if (!stage || scope == FieldScope::kStage || scope == FieldScope::kEither)
        known += ", " + key_of(field.name);
    }
    if (!stage) known += ", stage";
    refuse_at(entry.at, "unknown key \"" + entry.key + "\": a " + of + " may have " + known);
  }

  void add_text(Place at, const std::string& key, const std::string& text,
                std::vector<Word>& words) {
    if (text.find('\0') != std::string::npos) {
      refuse_at(at, key + " contains a zero byte, which no program can be given");
    } else {
      words.push_back({text, place(at, key)});
    }
  }

  void read_flag(const Entry& entry, FieldKind kind, std::vector<Word>& words) {
    const bool* const flag = std::get_if<bool>(&entry.item.value);
    if (flag == nullptr) return refuse_at(entry.item.at, entry.key + ' ' + wanted(kind));
    if (*flag) words.push_back({"", place(entry.item.at, entry.key)});
  }

  void read_choice(const Entry& entry, std::vector<Word>& words) {
    const auto* const text = std::get_if<std::string>(&entry.item.value);
    if (text == nullptr) return read_flag(entry, FieldKind::kChoice, words);
    add_text(entry.item.at, entry.key, *text, words);
  }

  void read_one(const Entry& entry, FieldKind kind, std::vector<Word>& words) {
    const Item& item = entry.item;
    if (const auto* text = std::get_if<std::string>(&item.value);
        text != nullptr && kind != FieldKind::kNumber) {
      add_text(item.at, entry.key, *text, words);
    } else if (const auto* whole = std::get_if<std::int64_t>(&item.value);
               whole != nullptr && kind != FieldKind::kText) {
      add_text(item.at, entry.key, std::to_string(*whole), words);
    } else if (const auto* real = std::get_if<double>(&item.value);
               real != nullptr && kind == FieldKind::kAmount && std::isfinite(*real)) {
      std::array<char, 64> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *real,
                                     std::chars_format::fixed);
      const bool fits = end.ec == std::errc();
      add_text(item.at, entry.key, fits ? std::string(digits.data(), end.ptr) : "out of range",
               words);
    } else {
      refuse_at(item.at, entry.key + ' ' + wanted(kind));
    }
  }

  void read_list(const Item& item, const std::string& key, std::vector<Word>& words) {
    const auto* list = std::get_if<Items>(&item.value);
    if (list == nullptr) return refuse_at(item.at, key + ' ' + wanted(FieldKind::kTexts));
    const bool is_command = key == "command";
    if (is_command && list->empty())
      return refuse_at(item.at, "command names no program: write [\"PROGRAM\", \"ARG\"]");
    if (!is_command && list->size() > kWordsPerFieldMax)
      return refuse_at(item.at,
                       key + " has more than " + std::to_string(kWordsPerFieldMax) + " elements");
    for (const Item& element : *list) {
      if (const auto* text = std::get_if<std::string>(&element.value)) {
        add_text(element.at, key, *text, words);
      } else {
        return refuse_at(element.at, key + ' ' + wanted(FieldKind::kTexts));
      }
    }
  }

  void read_table(const Entry& entry, std::vector<Word>& words) {
    const auto* table = std::get_if<Table>(&entry.item.value);
    if (table == nullptr)
      return refuse_at(entry.item.at, entry.key + ' ' + wanted(FieldKind::kVariables));
    for (const Entry& variable : *table) {
      const auto* text = std::get_if<std::string>(&variable.item.value);
      if (text == nullptr) {
        refuse_at(variable.item.at, entry.key + '.' + variable.key + " wants a text in quotes");
      } else if (variable.key.empty() || variable.key.find('=') != std::string::npos) {
        refuse_at(variable.at, "a variable's name is not empty and has no '='");
      } else {
        add_text(variable.item.at, entry.key, variable.key + '=' + *text, words);
      }
    }
  }

  const Table& table_;
  const std::string& file_;
  JobDefinition job_;
  std::optional<Refusal> refusal_;
};

}  // namespace

Result<JobDefinition> parse_job(std::string_view text, const std::string& file) {
  const Result<Table> table = parse_document(text, file);
  if (!table.ok()) return table.refusal();
  return JobReader(table.value(), file).read();
}

Result<JobDefinition> load_job(const std::string& path) {
  const Result<std::string> text = read_definition(path);
  if (!text.ok()) return text.refusal();
  return parse_job(text.value(), path);
}

}  // namespace leat::definitions
