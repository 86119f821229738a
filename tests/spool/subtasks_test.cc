#include "spool/subtasks.h"

#include <gtest/gtest.h>

#include <string>

#include "spool/rank_places.h"

namespace leat::spool {
namespace {

Subtask started(std::uint32_t frame) {
  return {.frame = frame,
          .pid = 4711,
          .started_us = 1'700'000'000'000'000,
          .host = "node1",
          .command = "orted -mca a b"};
}

const Subtask* find(const SubtaskBook& book, std::uint32_t frame) {
  const auto at = book.subtasks().find(frame);
  return at == book.subtasks().end() ? nullptr : &at->second;
}

// Without its end.
std::string cut(std::string line) {
  line.pop_back();
  return line;
}

TEST(Subtasks, AreLinesThatComeBack) {
  EXPECT_EQ(subtask_line(started(kFirstSubtask + 2)),
            "subtask 2 pid 4711 at 1700000000000000 host node1 command orted -mca a b\n");
  SubtaskBook book;
  for (const std::uint32_t frame : {kFirstSubtask + 2, kApplication, kCoordination}) {
    book.take(cut(subtask_line(started(frame))));
    ASSERT_NE(find(book, frame), nullptr);
    EXPECT_EQ(*find(book, frame), started(frame));
  }
  const SubtaskEnd killed{1'700'000'000'000'001, 9, true};
  EXPECT_EQ(subtask_end_line(kApplication, killed),
            "end application at 1700000000000001 signal 9\n");
  book.take(cut(subtask_end_line(kApplication, killed)));
  EXPECT_EQ(find(book, kApplication)->end, killed);
  book.take("end coordination at 5 code 3 and more");
  EXPECT_EQ(find(book, kCoordination)->end, (SubtaskEnd{5, 3, false}));
  EXPECT_FALSE(find(book, kFirstSubtask + 2)->end);
}

TEST(Subtasks, AreNothingElse) {
  SubtaskBook book;
  for (const char* const line :
       {"", "subtask", "subtask x pid 1 at 1 host n command c", "subtask 0 pid 1 at 1 host n",
        "subtask 0 pid 1 at 1 host  command c", "subtask 0 pid x at 1 host n command c",
        "subtask 4294967295 pid 1 at 1 host n command c", "end 0 at 1 code 0",
        "rank 0 pid 1 cpus - host n"})
    book.take(line);
  EXPECT_TRUE(book.subtasks().empty());
  book.take("subtask 0 pid 1 at 1 host n command ");
  for (const char* const line :
       {"end 0", "end 0 at 1", "end 0 at x code 1", "end 0 at 1 signal", "end 1 at 1 code 0"})
    book.take(line);
  ASSERT_EQ(book.subtasks().size(), 1u);
  EXPECT_FALSE(book.subtasks().begin()->second.end);
}

TEST(Subtasks, StartAndEndOnce) {
  SubtaskBook book;
  book.take("subtask 0 pid 1 at 1 host n command first");
  book.take("subtask 0 pid 2 at 2 host n command second");
  book.take("end 0 at 3 code 0");
  book.take("end 0 at 4 code 1");
  EXPECT_EQ(find(book, kFirstSubtask)->command, "first");
  EXPECT_EQ(find(book, kFirstSubtask)->end, (SubtaskEnd{3, 0, false}));
}

TEST(Subtasks, AreNotMoreThanOneCanHold) {
  SubtaskBook book;
  for (std::uint32_t n = 0; n <= kSubtasksToldMax; ++n)
    book.take(cut(subtask_line(started(kFirstSubtask + n))));
  EXPECT_EQ(book.subtasks().size(), kSubtasksToldMax);
}

TEST(Subtasks, HaveCommandsOfOneHarmlessLine) {
  EXPECT_EQ(one_line("a b"), "a b");
  EXPECT_EQ(one_line("a\nb\tc\x1b[31m\x7f"), "a\\nb\\tc\\x1b[31m\\x7f");
  const std::string whole(kSubtaskCommandMax, 'x');
  EXPECT_EQ(one_line(whole), whole);
  EXPECT_EQ(one_line(whole + "y"), whole.substr(3) + "...");
  EXPECT_EQ(one_line(one_line(whole + "\n")), one_line(whole + "\n"));
  // Never half of a character.
  const std::string almost(kSubtaskCommandMax - 4, 'x');
  EXPECT_EQ(one_line(almost + "\u00e9 and more"), almost + "...");
  EXPECT_LE(one_line(std::string(1000, '\n')).size(), kSubtaskCommandMax);
}

TEST(Subtasks, AreFoundWhereverALauncherTellsOfThem) {
  std::string stream;
  append_about_ranks(stream, subtask_line(started(kApplication)));
  append_rank_frame(stream, kApplication, "subtask 7 pid 1 at 1 host n command forged\n");
  append_about_ranks(stream, subtask_end_line(kApplication, {7, 0, false}));
  RankPlaceReader reader;
  for (const char byte : stream) reader.feed({&byte, 1});
  ASSERT_EQ(reader.subtasks().size(), 1u);
  EXPECT_EQ(reader.subtasks().at(kApplication).end, (SubtaskEnd{7, 0, false}));
  EXPECT_TRUE(reader.places().empty());
  EXPECT_FALSE(reader.is_complete());
}

TEST(Subtasks, HaveNamesOfTheirOwn) {
  EXPECT_EQ(frame_name(kFirstSubtask + 2), "subtask 2");
  EXPECT_EQ(frame_name(kCoordination), "coordination");
  EXPECT_EQ(frame_name(kApplication), "application");
}

}  // namespace
}  // namespace leat::spool
