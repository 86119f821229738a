#include "definitions/job_definition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/random.h"

namespace leat::definitions {
namespace {

constexpr const char* kWhole = R"(command = ["./simulate", "--seed", "7"]
array = "1-100"
name = "sweep"
cpus = 0.5
memory = "2G"
retries = 3
priority = -5
bind = true
mpi = "required"
gang = false
ranks_per_node = 4
task_dir = false
reduce = "sort"
reduce_arg = ["-n", "--"]

[env]
A = "1"
"B C" = "x=y"
)";

TEST(JobDefinition, IsReadWhole) {
  const Result<JobDefinition> read = parse_job(kWhole, "job.toml");
  ASSERT_TRUE(read.ok()) << read.refusal().message;
  const JobDefinition& job = read.value();
  ASSERT_EQ(job.command.size(), 3u);
  EXPECT_EQ(job.command[2].text, "7");
  EXPECT_EQ(job.find("array")->text, "1-100");
  EXPECT_EQ(job.find("array")->where, "job.toml:2:9: array");
  EXPECT_EQ(job.find("cpus")->text, "0.5");
  EXPECT_EQ(job.find("retries")->text, "3");
  EXPECT_EQ(job.find("priority")->text, "-5");
  ASSERT_NE(job.find("bind"), nullptr);
  EXPECT_EQ(job.find("bind")->text, "");
  EXPECT_EQ(job.find("mpi")->text, "required");
  EXPECT_EQ(job.find("gang"), nullptr);
  EXPECT_EQ(job.find("ranks-per-node")->text, "4");
  EXPECT_EQ(job.find("task-dir"), nullptr);
  EXPECT_EQ(job.find("chunk"), nullptr);
  ASSERT_EQ(job.all("reduce-arg").size(), 2u);
  EXPECT_EQ(job.all("reduce-arg")[1].text, "--");
  ASSERT_EQ(job.all("env").size(), 2u);
  EXPECT_EQ(job.all("env")[0].text, "A=1");
  EXPECT_EQ(job.all("env")[1].text, "B C=x=y");
}

struct Wrong {
  const char* text;
  const char* message;
};

TEST(JobDefinition, NamesLineAndColumnOfEveryWrongField) {
  const Wrong cases[] = {
      {"command = 'x'", "j:1:11: command wants a list of texts, like [\"a\", \"b\"]"},
      {"command = []", "j:1:11: command names no program: write [\"PROGRAM\", \"ARG\"]"},
      {"command = ['a', 7]", "j:1:17: command wants a list of texts, like [\"a\", \"b\"]"},
      {"name = 7", "j:1:8: name wants a text in quotes"},
      {"array = [1, 2]", "j:1:9: array wants a text in quotes"},
      {"chunk = '7'", "j:1:9: chunk wants a whole number"},
      {"chunk = 7.5", "j:1:9: chunk wants a whole number"},
      {"cpus = true", "j:1:8: cpus wants a number, or a text in quotes like \"2G\""},
      {"cpus = nan", "j:1:8: cpus wants a number, or a text in quotes like \"2G\""},
      {"exclusive = 1", "j:1:13: exclusive wants true or false"},
      {"bind = 1", "j:1:8: bind wants true, false, or a text in quotes"},
      {"nodes = '2'", "j:1:9: nodes wants a whole number"},
      {"reduce_arg = '-n'", "j:1:14: reduce_arg wants a list of texts, like [\"a\", \"b\"]"},
      {"env = ['A=1']", "j:1:7: env wants a table of texts, like NAME = \"VALUE\""},
      {"[env]\nA = 1", "j:2:5: env.A wants a text in quotes"},
      {"[env]\n'A=B' = '1'", "j:2:1: a variable's name is not empty and has no '='"},
      {"name = \"a\\u0000b\"", "j:1:8: name contains a zero byte, which no program can be given"},
      {"name = 'a'\nname = 'b'", nullptr},
      {"name = = 1", nullptr},
  };
  for (const Wrong& wrong : cases) {
    const Result<JobDefinition> job = parse_job(wrong.text, "j");
    ASSERT_FALSE(job.ok()) << wrong.text;
    EXPECT_EQ(job.refusal().reason, Reason::kInvalid);
    if (wrong.message != nullptr)
      EXPECT_EQ(job.refusal().message, wrong.message);
    else
      EXPECT_EQ(job.refusal().message.rfind("j:", 0), 0u) << job.refusal().message;
  }
}

TEST(JobDefinition, RefusesKeysThatDoNotExistByName) {
  for (const char* key : {"colour", "reduce-arg", "help", "wait", "key"}) {
    const Result<JobDefinition> job = parse_job("name = 'a'\n" + std::string(key) + " = 1\n", "j");
    ASSERT_FALSE(job.ok()) << key;
    EXPECT_EQ(job.refusal().message.rfind(
                  "j:2:1: unknown key \"" + std::string(key) + "\": a job may have command, ", 0),
              0u)
        << job.refusal().message;
  }
}

TEST(JobDefinition, NamesTheFirstMistakeOfTheFile) {
  const Result<JobDefinition> job = parse_job("zzz = 1\narray = 2\n", "j");
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.refusal().message.rfind("j:1:1: ", 0), 0u) << job.refusal().message;
}

TEST(JobDefinition, RefusesAFileThatIsNotThere) {
  const Result<JobDefinition> job = load_job("/nonexistent/j.toml");
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.refusal().message, "/nonexistent/j.toml: No such file or directory");
  EXPECT_FALSE(load_job("/").ok());
}

TEST(JobDefinition, LetsTheCommandLineOverrideTheFile) {
  JobDefinition job = parse_job(kWhole, "j").value();
  JobDefinition over;
  over.add("array", {"5", "--array"});
  over.add("reduce-arg", {"-r", "--reduce-arg"});
  over.add("env", {"A=2", "--env"});
  job.override_with(over);
  EXPECT_EQ(job.command.size(), 3u);
  EXPECT_EQ(job.find("array")->text, "5");
  EXPECT_EQ(job.find("name")->text, "sweep");
  ASSERT_EQ(job.all("reduce-arg").size(), 1u);
  // Variables come after those of the file, and the last word about a name counts.
  ASSERT_EQ(job.all("env").size(), 3u);
  EXPECT_EQ(job.all("env")[2].text, "A=2");
  over.command = {{"true", ""}};
  job.override_with(over);
  EXPECT_EQ(job.command.size(), 1u);
}

TEST(JobDefinition, CannotPrintWhatTomlCannotHold) {
  for (const char* text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80"}) {
    JobDefinition job;
    job.command = {{"echo", ""}, {text, ""}};
    const Result<std::string> printed = print_job(job);
    ASSERT_FALSE(printed.ok()) << text;
    EXPECT_EQ(printed.refusal().message, "command is not UTF-8, which a TOML file must be");
  }
}

std::string random_text(Random& random) {
  static constexpr const char* kPieces[] = {"a",  "Z",  "7",    " ",    "\"", "'", "\\",
                                            "\n", "\t", "\x01", "=",    "#",  "[", "]",
                                            "é",  "€",  "😀",    "\x7f", ",",  "-"};
  std::string text;
  for (std::uint64_t n = random.below(12); n > 0; --n) text += kPieces[random.below(20)];
  return text;
}

Word random_word(const JobField& field, Random& random) {
  switch (field.kind) {
    case FieldKind::kNumber:
      return {std::to_string(static_cast<std::int64_t>(random.next()) >> (8 + random.below(50))),
              ""};
    case FieldKind::kAmount:
      return {random.chance(50) ? std::to_string(random.below(1000)) : "1.5G", ""};
    case FieldKind::kFlag:
      return {"", ""};
    case FieldKind::kChoice:
      return {random.chance(50) ? "" : random_text(random), ""};
    case FieldKind::kVariables:
      return {"N" + std::to_string(random.below(1'000'000)) + "=" + random_text(random), ""};
    default:
      return {random_text(random), ""};
  }
}

JobDefinition random_job(Random& random) {
  JobDefinition job;
  for (std::uint64_t n = random.below(5); n > 0; --n)
    job.command.push_back({random_text(random), ""});
  for (const JobField& field : job_fields()) {
    if (random.chance(50)) continue;
    const bool many = field.kind == FieldKind::kTexts || field.kind == FieldKind::kVariables;
    for (std::uint64_t n = many ? 1 + random.below(4) : 1; n > 0; --n)
      job.add(field.name, random_word(field, random));
  }
  return job;
}

// Variables have no order of their own.
std::vector<std::string> sorted(const std::vector<Word>& words) {
  std::vector<std::string> texts;
  for (const Word& word : words) texts.push_back(word.text);
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST(JobDefinition, IsReadBackAsItWasPrinted) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    Random random(seed);
    const JobDefinition job = random_job(random);
    const Result<std::string> text = print_job(job);
    ASSERT_TRUE(text.ok()) << "seed " << seed << ": " << text.refusal().message;
    const Result<JobDefinition> again = parse_job(text.value(), "j");
    ASSERT_TRUE(again.ok()) << "seed " << seed << ": " << again.refusal().message << '\n'
                            << text.value();
    EXPECT_EQ(again.value().command, job.command) << "seed " << seed;
    for (const JobField& field : job_fields()) {
      if (field.kind == FieldKind::kVariables) {
        EXPECT_EQ(sorted(again.value().all(field.name)), sorted(job.all(field.name)))
            << "seed " << seed << ' ' << field.name;
      } else {
        EXPECT_EQ(again.value().all(field.name), job.all(field.name))
            << "seed " << seed << ' ' << field.name << '\n'
            << text.value();
      }
    }
  }
}

}  // namespace
}  // namespace leat::definitions
