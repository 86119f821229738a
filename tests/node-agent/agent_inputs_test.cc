// What a task is given to work on: arguments with something of its line in them, plain outputs.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "node-agent/plain_outputs.h"
#include "node-agent/task_environment.h"
#include "node-agent/task_words.h"
#include "spool/rank_frames.h"
#include "tests/spool/scratch_directory.h"

namespace leat::agent {
namespace {

StageSpec spec_of(Inputs::Use use, std::vector<std::string> argv) {
  StageSpec spec;
  spec.program.argv = std::move(argv);
  spec.inputs.kind = Inputs::Kind::kLines;
  spec.inputs.use = use;
  return spec;
}

TEST(TaskWords, AreOfTheTaskOnlyWhereSomethingStandsInBraces) {
  EXPECT_TRUE(has_own_words(spec_of(Inputs::Use::kFile, {"p", "{}"})));
  EXPECT_FALSE(has_own_words(spec_of(Inputs::Use::kFile, {"{}", "x"})));
  EXPECT_FALSE(has_own_words(spec_of(Inputs::Use::kStream, {"p", "{}"})));
  EXPECT_FALSE(has_own_words(spec_of(Inputs::Use::kObject, {"p"})));
}

TEST(TaskWords, HoldTheNameOfAFile) {
  const StageSpec spec = spec_of(Inputs::Use::kFile, {"p", "-i", "{}", "{}.out", "{name}"});
  EXPECT_EQ(words_of(spec, "/a b/c").value(),
            (std::vector<std::string>{"-i", "/a b/c", "/a b/c.out", "{name}"}));
  EXPECT_FALSE(words_of(spec, std::nullopt).ok());
}

TEST(TaskWords, HoldTheFieldsOfAnObject) {
  const StageSpec spec = spec_of(Inputs::Use::kObject, {"p", "{text}", "{int}", "{real}", "{yes}",
                                                        "{nothing}", "{list}", "{other}", "{}"});
  const std::string line =
      R"({"text":"a \"b\"","int":-5,"real":0.25,"yes":true,"nothing":null,"list":[1,{"x":2}]})"
      "\n";
  EXPECT_EQ(words_of(spec, line).value(),
            (std::vector<std::string>{"a \"b\"", "-5", "0.25", "true", "", R"([1,{"x":2}])",
                                      "{other}", "{}"}));
  EXPECT_FALSE(words_of(spec, "[1]").ok());
  EXPECT_FALSE(words_of(spec, "{").ok());
  EXPECT_FALSE(words_of(spec, R"({"text":"a\u0000b"})").ok());
}

TEST(TaskEnvironment, NamesTheInputAfterItsUse) {
  const auto has = [](Inputs::Use use, const std::string& variable) {
    bool found = false;
    task_environment({JobId{1}, 0, 1, 2}, {1, "/x", {}, std::nullopt}, use, "line\n")
        .for_each([&](std::string_view text) { found = found || text == variable; });
    return found;
  };
  EXPECT_TRUE(has(Inputs::Use::kStream, "LEAT_ENTRY=line"));
  EXPECT_TRUE(has(Inputs::Use::kFile, "LEAT_INPUT=line"));
  EXPECT_TRUE(has(Inputs::Use::kObject, "LEAT_INPUT=line"));
  EXPECT_FALSE(has(Inputs::Use::kFile, "LEAT_ENTRY=line"));
}

class PlainOutputsTest : public testing::Test {
 protected:
  PlainOutputsTest() : plain(scratch.path("spool")) {
    EXPECT_EQ(::mkdir(scratch.path("spool").c_str(), 0700), 0);
    EXPECT_EQ(::mkdir(scratch.path("out").c_str(), 0700), 0);
  }

  ~PlainOutputsTest() noexcept override {}

  Result<Done> copy(const RunId& run, const spool::RunPlace& place,
                    PlainOutputs::Member member = {}) {
    return plain.copy(run, place, scratch.path("out"), member).wait(scope);
  }

  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  ScratchDirectory scratch;
  PlainOutputs plain;
};

TEST_F(PlainOutputsTest, AppearWholeUnderTheirNames) {
  const std::string large(3 * kCopiedAtOnce + 5, 'x');
  put_content(scratch.path("spool/slot-1.2.out"), "before" + large + "after");
  put_content(scratch.path("spool/slot-1.2.err"), "wrong");
  const spool::RunPlace place{1, 2, {6, large.size(), false}, {2, 3, false}};
  ASSERT_TRUE(copy({JobId{17}, 0, 1, 42}, place).ok());
  EXPECT_EQ(content_of(scratch.path("out/17.42.out")), large);
  EXPECT_EQ(content_of(scratch.path("out/17.42.err")), "ong");
  // A later attempt, which wrote nothing, takes the place of the first.
  ASSERT_TRUE(copy({JobId{17}, 0, 2, 42}, {}).ok());
  EXPECT_EQ(content_of(scratch.path("out/17.42.out")), "");
  ASSERT_TRUE(copy({JobId{17}, 3, 1, 0}, {}).ok());
  EXPECT_TRUE(std::filesystem::exists(scratch.path("out/17.3.0.err")));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path("out"))) {
    EXPECT_NE(entry.path().filename().string().front(), '.');
    ++files;
  }
  EXPECT_EQ(files, 4u);
}

TEST_F(PlainOutputsTest, OfAGangHoldWhatItsRanksWroteAndNotWhereTheyAre) {
  std::string error;
  spool::append_rank_frame(error, spool::kAboutRanks, "rank 0 pid 1 cpus - host n\n");
  spool::append_rank_frame(error, 0, "oops\n");
  spool::append_rank_frame(error, spool::kNoRank, "warning\n");
  put_content(scratch.path("spool/slot-1.2.err"), error);
  ASSERT_TRUE(copy({JobId{17}, 0, 1, 42}, {1, 2, {}, {0, error.size(), false}}, 1).ok());
  EXPECT_EQ(content_of(scratch.path("out/17.42.node-1.err")), "oops\nwarning\n");
}

TEST_F(PlainOutputsTest, SayWhatIsWrongAndLeaveNothingHalf) {
  put_content(scratch.path("spool/slot-1.2.out"), "short");
  const Result<Done> cut = copy({JobId{17}, 0, 1, 1}, {1, 2, {0, 50, false}, {}});
  ASSERT_FALSE(cut.ok());
  EXPECT_NE(cut.refusal().message.find("17.1.out"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path("out")));
  std::filesystem::remove(scratch.path("out"));
  EXPECT_FALSE(copy({JobId{17}, 0, 1, 1}, {1, 2, {0, 5, false}, {}}).ok());
  EXPECT_EQ(PlainOutputs::why_not(scratch.path("out")), ENOENT);
  EXPECT_EQ(PlainOutputs::why_not(scratch.path("spool/slot-1.2.out")), ENOTDIR);
  EXPECT_EQ(PlainOutputs::why_not(scratch.path("spool")), 0);
}

}  // namespace
}  // namespace leat::agent
