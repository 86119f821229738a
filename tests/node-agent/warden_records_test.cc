// Strings in blocks, records in the ring, and what happens to those that are not sound.

#include <gtest/gtest.h>

#include <memory>

#include "base/random.h"
#include "node-agent/warden/records.h"
#include "node-agent/warden/string_block.h"
#include "node-agent/warden_ring.h"

namespace leat::warden {
namespace {

StringBlock block(const std::vector<std::string>& texts) {
  StringBlock made;
  for (const std::string& text : texts) made.add(text);
  return made;
}

std::vector<std::string> strings(const std::vector<char*>& pointers) {
  std::vector<std::string> texts;
  for (const char* pointer : pointers)
    if (pointer != nullptr) texts.emplace_back(pointer);
  return texts;
}

TEST(StringBlock, HoldsEmptyStringsAndCountsThem) {
  const StringBlock some = block({"", "a", ""});
  EXPECT_EQ(some.count(), 3u);
  EXPECT_EQ(some.bytes(), std::string("\0a\0\0", 4));
  EXPECT_EQ(StringBlock().count(), 0u);
}

TEST(StringBlock, RefusesBytesWithoutAnEnd) {
  EXPECT_TRUE(StringBlock::from_bytes(""));
  EXPECT_TRUE(StringBlock::from_bytes(std::string("a\0b\0", 4)));
  EXPECT_FALSE(StringBlock::from_bytes("a"));
}

TEST(StringBlock, BecomesArguments) {
  const StringBlock first = block({"prog", ""});
  const StringBlock more = block({"x"});
  std::vector<char*> pointers;
  point_at_arguments(first, more, pointers);
  EXPECT_EQ(pointers.back(), nullptr);
  EXPECT_EQ(strings(pointers), (std::vector<std::string>{"prog", "", "x"}));
}

TEST(StringBlock, BecomesAnEnvironmentInWhichTheLaunchWins) {
  const std::string token = "LEAT_RUN_TOKEN=t";
  const StringBlock base = block({"A=1", "B=1", "LEAT_RUN_TOKEN=forged", "AB=1"});
  const StringBlock more = block({"B=2", "LEAT_RUN_TOKEN=forged", "odd"});
  std::vector<char*> pointers;
  point_at_environment(token, base, more, pointers);
  EXPECT_EQ(pointers.back(), nullptr);
  EXPECT_EQ(strings(pointers),
            (std::vector<std::string>{"LEAT_RUN_TOKEN=t", "B=2", "odd", "A=1", "AB=1"}));
  EXPECT_EQ(value_of("AB", pointers.data()), "1");
  EXPECT_EQ(value_of("A", pointers.data()), "1");
  EXPECT_EQ(value_of("odd", pointers.data()), std::nullopt);
}

Launch sample_launch() {
  Launch launch;
  launch.run = {JobId{1ull << 60}, 65535, 4'000'000'000u, kIndexLimit - 1};
  launch.template_id = 9;
  launch.slot = 513;
  launch.segment = 17;
  launch.nice = -3;
  launch.cpus.add(0);
  launch.cpus.add(700);
  launch.time_limit_us = 1ull << 50;
  launch.grace_us = 5;
  launch.warning_us = 1ull << 40;
  launch.warning_signal = 10;
  launch.output_limit_bytes = ~0ull;
  launch.memory_limit_bytes = 3ull << 40;
  launch.gpu_mask = 1ull << 63 | 5;
  launch.stdin_path = "/in put";
  launch.directory = "/d";
  launch.more_arguments = block({"", "x"});
  launch.more_environment = block({"A=\xff"});
  return launch;
}

std::vector<Command> sample_commands() {
  const RunId run{JobId{3}, 1, 2, 4};
  return {Template{5, block({"a", "b"}), block({"X=1"}), "/tmp"},
          Forget{7},
          sample_launch(),
          End{run, 99},
          Signal{run, 10},
          Confirm{run},
          Shutdown{}};
}

std::vector<Event> sample_events() {
  Exited exited;
  exited.run = {JobId{3}, 1, 2, 4};
  exited.kind = ExitKind::kNotStarted;
  exited.step = StartStep::kProgram;
  exited.flags = kOutTruncated | kSpoolFailed;
  exited.error = 2;
  exited.out_bytes = 1ull << 40;
  exited.err_offset = 77;
  Running running;
  running.run = exited.run;
  running.in_dump = true;
  running.phase = RunPhase::kEnding;
  running.pid = 4711;
  return {running, exited, DumpEnd{3}};
}

TEST(WardenRecords, SurviveTheRing) {
  Bytes record;
  for (const Command& command : sample_commands()) {
    encode(command, record);
    Command read;
    ASSERT_TRUE(decode(record, read)) << command.index();
    EXPECT_EQ(read, command);
  }
  for (const Event& event : sample_events()) {
    encode(event, record);
    Event read;
    ASSERT_TRUE(decode(record, read)) << event.index();
    EXPECT_EQ(read, event);
  }
}

TEST(WardenRecords, AreRefusedWhenCutOrLengthened) {
  Bytes record;
  Command command;
  Event event;
  for (const Command& sample : sample_commands()) {
    encode(sample, record);
    for (std::size_t size = 0; size < record.size(); ++size)
      EXPECT_FALSE(decode(std::span(record).first(size), command)) << sample.index();
    record.push_back(std::byte{0});
    EXPECT_FALSE(decode(record, command));
  }
  for (const Event& sample : sample_events()) {
    encode(sample, record);
    for (std::size_t size = 0; size < record.size(); ++size)
      EXPECT_FALSE(decode(std::span(record).first(size), event)) << sample.index();
  }
  EXPECT_FALSE(decode(Bytes(40, std::byte{0xff}), command));
}

TEST(WardenRecords, NeverReadOutsideWhateverTheirBytes) {
  Random random(41);
  Bytes record;
  Command command;
  Event event;
  const std::vector<Command> commands = sample_commands();
  for (int round = 0; round < 20'000; ++round) {
    encode(commands[random.below(commands.size())], record);
    // A copy of exactly that size, so that a sanitizer sees one byte too far.
    const auto copy = std::make_unique<std::byte[]>(record.size());
    std::copy(record.begin(), record.end(), copy.get());
    for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips)
      copy[random.below(record.size())] = static_cast<std::byte>(random.below(256));
    decode(std::span(copy.get(), record.size()), command);
    decode(std::span(copy.get(), record.size()), event);
  }
}

TEST(WardenRecords, RefuseAPathWithANulInIt) {
  Launch launch = sample_launch();
  launch.directory = std::string("/tmp\0/etc", 9);
  Bytes record;
  encode(Command(launch), record);
  Command read;
  EXPECT_FALSE(decode(record, read));
}

TEST(WardenRecords, NameSpoolFiles) {
  EXPECT_EQ(spool_file_name(3, 17, false), "slot-3.17.out");
  EXPECT_EQ(spool_file_name(65535, 4'294'967'295u, true), "slot-65535.4294967295.err");
}

// ---- The ring ----

struct RingWorld {
  RingControl control;
  std::vector<std::byte> bytes = std::vector<std::byte>(kRingBytes);
  RingWriter writer{control, bytes.data()};
  RingReader reader{control, bytes.data()};
};

Bytes numbered(std::uint32_t number, std::size_t size) {
  Bytes record(size, static_cast<std::byte>(number));
  std::memcpy(record.data(), &number, sizeof number);
  return record;
}

TEST(WardenRing, DeliversInOrderAcrossItsEnd) {
  RingWorld ring;
  Random random(7);
  Bytes record;
  std::uint32_t put = 0;
  std::uint32_t got = 0;
  while (got < 20'000) {
    while (ring.writer.put(numbered(put, 4 + random.below(3000)))) ++put;
    ring.writer.publish();
    for (std::uint64_t n = random.below(400); n > 0; --n) {
      const RingReader::Next next = ring.reader.next(record);
      if (next == RingReader::Next::kEmpty) break;
      ASSERT_EQ(next, RingReader::Next::kRecord);
      std::uint32_t number = 0;
      std::memcpy(&number, record.data(), sizeof number);
      ASSERT_EQ(number, got);
      ASSERT_EQ(record.back(), record.size() > 4 ? static_cast<std::byte>(got) : record.back());
      ++got;
    }
    ring.reader.release();
  }
}

TEST(WardenRing, ShowsNothingThatIsNotPublished) {
  RingWorld ring;
  Bytes record;
  ASSERT_TRUE(ring.writer.put(numbered(1, 100)));
  EXPECT_EQ(ring.reader.next(record), RingReader::Next::kEmpty);
  ring.writer.publish();
  EXPECT_EQ(ring.reader.next(record), RingReader::Next::kRecord);
}

TEST(WardenRing, TakesNoRecordThatIsEmptyOrTooLong) {
  RingWorld ring;
  EXPECT_FALSE(ring.writer.put({}));
  EXPECT_FALSE(ring.writer.put(Bytes(kRecordBytesMax + 1)));
  EXPECT_TRUE(ring.writer.room_was_given()) << "waiting for room would be in vain";
  EXPECT_TRUE(ring.writer.put(Bytes(kRecordBytesMax)));
}

TEST(WardenRing, WakesWhoSleepsAndOnlyThen) {
  RingWorld ring;
  Bytes record;
  ring.writer.put(numbered(1, 8));
  EXPECT_FALSE(ring.writer.publish());
  EXPECT_FALSE(ring.reader.fall_asleep()) << "there is something to read";
  ring.reader.next(record);
  EXPECT_FALSE(ring.reader.release());
  EXPECT_TRUE(ring.reader.fall_asleep());
  ring.writer.put(numbered(2, 8));
  EXPECT_TRUE(ring.writer.publish());
  ring.writer.put(numbered(3, 8));
  EXPECT_FALSE(ring.writer.publish()) << "once is enough";
}

TEST(WardenRing, TellsAWriterThatThereIsRoomAgain) {
  RingWorld ring;
  Bytes record;
  while (ring.writer.put(numbered(1, 1000))) {
  }
  EXPECT_FALSE(ring.writer.room_was_given());
  ring.writer.publish();
  ring.reader.next(record);
  EXPECT_TRUE(ring.reader.release());
  EXPECT_TRUE(ring.writer.room_was_given());
  EXPECT_TRUE(ring.writer.put(numbered(2, 1000)));
}

TEST(WardenRing, SaysSoWhenItsWordsMakeNoSense) {
  Bytes record;
  {
    RingWorld ring;
    ring.control.written = kRingBytes + 8;
    EXPECT_EQ(ring.reader.next(record), RingReader::Next::kBroken);
  }
  {
    RingWorld ring;
    ring.control.written = 12;
    EXPECT_EQ(ring.reader.next(record), RingReader::Next::kBroken);
  }
  {
    RingWorld ring;  // a record longer than what is published
    const RecordFrame frame{4096, ~4096u};
    std::memcpy(ring.bytes.data(), &frame, sizeof frame);
    ring.control.written = 64;
    EXPECT_EQ(ring.reader.next(record), RingReader::Next::kBroken);
  }
  {
    RingWorld ring;  // the reader claims to have read what was never written
    ring.control.consumed = 1u << 30;
    EXPECT_FALSE(ring.writer.put(numbered(1, 8)));
  }
}

}  // namespace
}  // namespace leat::warden
