#include "cli/render.h"

#include <gtest/gtest.h>

#include "cli/job_view.h"

namespace leat::cli {
namespace {

TEST(Table, AlignsAndHidesWhatIsNotThere) {
  const Value::List rows{
      Value::Object{{"id", 7u}, {"name", "wörk"}, {"use", Value::Object{{"bytes", 2048u}}}},
      Value::Object{{"id", 123u}, {"name", "a\033[1mb"}},
  };
  EXPECT_EQ(
      render_table(
          {{"id", "ID", Form::kNumber}, {"use.bytes", "SIZE", Form::kBytes}, {"name", "NAME"}},
          rows),
      " ID  SIZE  NAME\n"
      "  7    2K  wörk\n"
      "123     -  a\\x1b[1mb\n");
}

TEST(Fields, LeaveOutWhatIsNotThere) {
  const Value row = Value::Object{{"a", 1u}, {"b", ""}, {"long", Value::List{"x", "y"}}};
  EXPECT_EQ(render_fields({{"a", "A"}, {"b", "B"}, {"long", "Longer"}}, row),
            "A:      1\n"
            "Longer: x,y\n");
}

TEST(Json, IsOneVersionedLineInOrder) {
  EXPECT_EQ(json_document({{"b", true},
                           {"a", std::int64_t{-1}},
                           {"none", Value()},
                           {"list", Value::List{"x\n\033", 18446744073709551615u}}}),
            "{\"version\":1,\"b\":true,\"a\":-1,\"none\":null,"
            "\"list\":[\"x\\n\\u001b\",18446744073709551615]}\n");
}

TEST(Json, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(to_json(Value("a\xff")), "\"a\ufffd\"\n");
}

TEST(Outcome, IsToldInWords) {
  const auto say = [](schema::Outcome outcome, std::int32_t code) {
    return describe_outcome(static_cast<std::uint16_t>(outcome), code);
  };
  EXPECT_EQ(say(schema::Outcome::EXIT, 3), "exit code 3");
  EXPECT_EQ(say(schema::Outcome::SIGNAL, 9), "ended by SIGKILL");
  EXPECT_EQ(say(schema::Outcome::SIGNAL, 64), "ended by signal 64");
  EXPECT_EQ(say(schema::Outcome::COULD_NOT_START, 2), "could not start: No such file or directory");
  EXPECT_EQ(describe_outcome(999, 5), "outcome 999 (5)");
  EXPECT_EQ(outcome_name(7), "could_not_start");
  EXPECT_EQ(outcome_name(999), "999");
  EXPECT_EQ(job_state_name(3), "succeeded");
}

}  // namespace
}  // namespace leat::cli
