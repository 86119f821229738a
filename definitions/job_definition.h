#pragma once

// job_definition.h - a job as a TOML file or a command line describes it, word by word.
//
// A file may describe several stages, each in a table [[stage]]. Then what stands above them is
// said of the whole job, or of all of its stages that do not say otherwise.
//
// What may be said of a job is one table, job_fields(): the options of `leat submit` are declared
// from it, files are read and printed by it. So neither can say what the other cannot.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leat::definitions {

// Options that may be given several times: so many times at most.
inline constexpr std::size_t kWordsPerFieldMax = 4096;

// What somebody wrote, and where: "--cpus", or "job.toml:3:8: cpus". Refusals begin with `where`.
struct Word {
  std::string text;
  std::string where;

  friend bool operator==(const Word& a, const Word& b) { return a.text == b.text; }
};

enum class FieldKind : std::uint8_t {
  kText,
  kNumber,     // a whole number in files
  kAmount,     // a number or a text in files: 2, 0.5, "2G"
  kFlag,       // true or false in files
  kChoice,     // alone, or with one of the metavar's words: true, false or a text in files
  kTexts,      // may be repeated; a list of texts in files
  kVariables,  // NAME=VALUE, may be repeated; a table in files
};

// Of what a field speaks in a job of several stages.
enum class FieldScope : std::uint8_t {
  kJob,     // of the job: above the stages
  kStage,   // of one stage, in its table
  kEither,  // of one stage, or above them of all
  kPlain,   // only of a job without such tables
};

// One thing that may be said of a job.
struct JobField {
  std::string_view name;  // of the option, without its dashes
  std::string_view metavar;
  std::string_view help;
  FieldKind kind;
};

// The words of a choice: "required|pmi1" are two.
std::vector<std::string> choices_of(const JobField& field);

FieldScope scope_of(std::string_view name);

// How a field is called in files: '_' stands for each '-' of its name.
std::string key_of(std::string_view name);

// How to say `field` to whoever wrote `word`: "--chunk" on a command line, "chunk" in a file.
std::string called_beside(const Word& word, std::string_view field);

// In the order of `leat submit --help`.
std::span<const JobField> job_fields();

struct StageDefinition;

// Everything that was said of one job, or of one of its stages. Not yet looked into: values may be
// nonsense.
class JobDefinition {
 public:
  std::vector<Word> command;            // program and arguments; empty: not said
  std::vector<StageDefinition> stages;  // empty: the job is one stage

  // The word of a field that takes one; nullptr if it was not said. A flag that is there is set, a
  // choice that stands alone is empty.
  const Word* find(std::string_view field) const;
  // All words of a field.
  const std::vector<Word>& all(std::string_view field) const;
  void add(std::string_view field, Word word);

  // What `over` says comes instead of what was said here; variables come after those said here.
  void override_with(const JobDefinition& over);

  friend bool operator==(const JobDefinition& a, const JobDefinition& b);

 private:
  std::map<std::string, std::vector<Word>, std::less<>> words_;
};

// One thing that a stage comes after.
struct StageAfter {
  Word stage;         // its name
  bool each = false;  // task by task
  Word on;            // success, failure or any; empty: success

  friend bool operator==(const StageAfter&, const StageAfter&) = default;
};

// One table [[stage]].
struct StageDefinition {
  std::string where;  // the table stands
  Word name;          // empty: not said
  std::vector<StageAfter> after;
  Word reduces;  // the stage whose outputs it reads; empty: none
  Word width;    // of the tree of its steps; empty: one step
  bool result = false;
  JobDefinition said;  // all the rest, as of a job

  friend bool operator==(const StageDefinition& a, const StageDefinition& b) {
    return a.name == b.name && a.after == b.after && a.reduces == b.reduces && a.width == b.width &&
           a.result == b.result && a.said == b.said;
  }
};

// What is wrong with how stages refer to each other, and with what is said where; nothing if all is
// well, or there are no stages. After override_with(): options may say what files may not.
std::optional<Refusal> check_stages(const JobDefinition& job);

// What is said of the stage at `n`, with what is said of all.
JobDefinition stage_of(const JobDefinition& job, std::size_t n);

// Reads a job file. Refusals (kInvalid) say "FILE:LINE:COLUMN: what is wrong, and what would be
// right": syntax, unknown keys, values of the wrong type. `file` is how it is called in them.
Result<JobDefinition> parse_job(std::string_view text, const std::string& file);

// The same, from disk.
Result<JobDefinition> load_job(const std::string& path);

// The file that parse_job() reads back to an equal definition. Refused (kInvalid) if a word is not
// UTF-8, which no TOML file can hold.
Result<std::string> print_job(const JobDefinition& job);

}  // namespace leat::definitions
