#include "cli/arguments.h"

#include <gtest/gtest.h>

namespace leat::cli {
namespace {

using Words = std::vector<std::string>;

class ArgumentsTest : public testing::Test {
 protected:
  ArgumentsTest() {
    arguments.flag("-f,--follow", follow, "");
    arguments.option("--name", "NAME", name, "");
    arguments.list("--reduce-arg", "A", list, "");
    arguments.choice("--mpi", {"required", "pmi1"}, mpi, "");
  }

  std::string refusal(Words words) {
    const Result<Done> parsed = arguments.parse(std::move(words));
    return parsed.ok() ? "" : parsed.refusal().message;
  }

  Arguments arguments;
  bool follow = false;
  std::optional<std::string> name;
  std::optional<std::string> mpi;
  std::vector<std::string> list;
  std::optional<std::string> operand;
  Words rest;
};

TEST_F(ArgumentsTest, BindOptionsInAllTheirForms) {
  ASSERT_EQ(refusal({"-f", "--name", "a", "--reduce-arg=x"}), "");
  EXPECT_TRUE(follow);
  EXPECT_EQ(name, "a");
  EXPECT_EQ(list, Words{"x"});
}

TEST_F(ArgumentsTest, TakeValuesAsTheyStand) {
  ASSERT_EQ(refusal({"--name=", "--reduce-arg", "--help", "--reduce-arg", "", "--reduce-arg",
                     "--mpi", "--reduce-arg", "[a,b]", "--reduce-arg", "=", "--reduce-arg=-1"}),
            "");
  EXPECT_EQ(name, "");
  EXPECT_EQ(list, (Words{"--help", "", "--mpi", "[a,b]", "=", "-1"}));
}

TEST_F(ArgumentsTest, TakeNegativeNumbers) {
  ASSERT_EQ(refusal({"--name", "-5"}), "");
  EXPECT_EQ(name, "-5");
}

TEST_F(ArgumentsTest, LeaveEverythingAfterTheSeparatorAlone) {
  arguments.rest("PROGRAM", rest);
  ASSERT_EQ(refusal({"--reduce-arg", "--", "--", "prog", "--name", "x", "--", "-f", "--mpi"}), "");
  EXPECT_EQ(list, Words{"--"});
  EXPECT_EQ(rest, (Words{"prog", "--name", "x", "--", "-f", "--mpi"}));
  EXPECT_FALSE(follow);
}

TEST_F(ArgumentsTest, RefuseWhatTheyDoNotKnow) {
  EXPECT_EQ(refusal({"--frob"}), "unknown option --frob");
  EXPECT_EQ(refusal({"--nam", "x"}), "unknown option --nam");
  EXPECT_EQ(refusal({"-x"}), "unknown argument: -x");
  EXPECT_EQ(refusal({"word"}), "unknown argument: word");
  EXPECT_EQ(refusal({"--", "word"}), "unknown argument: --");
}

TEST_F(ArgumentsTest, RefuseWrongNumbersOfValues) {
  EXPECT_EQ(refusal({"--name"}), "--name: NAME is missing");
  EXPECT_EQ(refusal({"--name", "--follow"}), "--name: NAME is missing");
  EXPECT_EQ(refusal({"--reduce-arg"}), "--reduce-arg: A is missing");
  EXPECT_EQ(refusal({"--name", "a", "--name", "b"}), "--name: given twice");
  EXPECT_EQ(refusal({"--follow=3"}), "--follow=3: this option takes no value");
}

TEST_F(ArgumentsTest, LetAChoiceStandAloneOrTakeOneOfItsWords) {
  struct Case {
    Words words;
    std::optional<std::string> value;
  };
  const Case cases[] = {
      {{}, std::nullopt},
      {{"--mpi"}, ""},
      {{"--mpi", "-f"}, ""},
      {{"--mpi", "--", "required"}, ""},
      {{"--mpi", "job.toml"}, ""},
      {{"--mpi", "pmi1"}, "pmi1"},
      {{"--mpi", "required", "job.toml"}, "required"},
      {{"--mpi=required"}, "required"},
      {{"--mpi=other"}, "other"},
  };
  for (const Case& c : cases) {
    Arguments fresh;
    bool flag = false;
    std::optional<std::string> value;
    std::optional<std::string> file;
    Words command;
    fresh.flag("-f", flag, "");
    fresh.choice("--mpi", {"required", "pmi1"}, value, "");
    fresh.operand("FILE", file, "", false);
    fresh.rest("PROGRAM", command, false);
    const Result<Done> parsed = fresh.parse(c.words);
    EXPECT_TRUE(parsed.ok()) << parsed.refusal().message;
    EXPECT_EQ(value, c.value);
  }
  EXPECT_EQ(refusal({"--mpi", "--mpi=pmi1"}), "--mpi: given twice");
}

TEST_F(ArgumentsTest, WantTheirOperand) {
  arguments.operand("JOB", operand, "");
  EXPECT_EQ(refusal({}), "JOB is missing");
  EXPECT_EQ(refusal({"1", "2"}), "unknown argument: 2");
  ASSERT_EQ(refusal({"17"}), "");
  EXPECT_EQ(operand, "17");
}

TEST_F(ArgumentsTest, WantAProgramWhereThereMustBeOne) {
  arguments.rest("PROGRAM", rest);
  EXPECT_EQ(refusal({"prog"}), "nothing to run: put -- PROGRAM at the end");
  EXPECT_EQ(refusal({"--"}), "nothing to run: put -- PROGRAM at the end");
}

TEST_F(ArgumentsTest, SeeHelpOnlyWhereItIsTheirs) {
  EXPECT_TRUE(arguments.asks_for_help({"--name", "x", "--help"}));
  EXPECT_TRUE(arguments.asks_for_help({"-h"}));
  EXPECT_FALSE(arguments.asks_for_help({"--reduce-arg", "--help"}));
  EXPECT_FALSE(arguments.asks_for_help({"--", "prog", "--help"}));
}

}  // namespace
}  // namespace leat::cli
