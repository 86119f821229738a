#include "node-agent/warden/records.h"

#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace leat::warden {

static_assert(std::endian::native == std::endian::little, "the layout is that of this machine");

namespace {

// The first byte of a record. Never renumbered; a new kind gets a new number.
enum class Kind : std::uint8_t {
  kTemplate = 1,
  kForget = 2,
  kLaunch = 3,
  kEnd = 4,
  kSignal = 5,
  kConfirm = 6,
  kShutdown = 7,
  kRunning = 64,
  kExited = 65,
  kDumpEnd = 66,
};

// Appends fields to a record.
class Writer {
 public:
  Writer(Bytes& record, Kind kind) : record_(record) {
    record_.clear();
    (*this)(kind);
  }

  template <typename T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void operator()(const T& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    record_.insert(record_.end(), bytes, bytes + sizeof value);
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    record_.insert(record_.end(), bytes, bytes + text.size());
  }
  void operator()(const StringBlock& block) { (*this)(block.bytes()); }
  void operator()(const RunId& run) {
    (*this)(run.job.value);
    (*this)(run.stage);
    (*this)(run.attempt);
    (*this)(run.index);
  }
  void operator()(const CpuMask& mask) {
    std::uint8_t used = 0;
    for (std::size_t i = 0; i < mask.words.size(); ++i)
      if (mask.words[i] != 0) used = static_cast<std::uint8_t>(i + 1);
    (*this)(used);
    for (std::size_t i = 0; i < used; ++i) (*this)(mask.words[i]);
  }

 private:
  Bytes& record_;
};

// Takes fields from a record; remembers whether anything was amiss.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> record) : rest_(record) {}

  template <typename T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void operator()(T& value) {
    if (!take(sizeof value)) return;
    if constexpr (std::is_same_v<T, bool>) {
      value = *taken_ != std::byte{0};
    } else {
      std::memcpy(&value, taken_, sizeof value);
    }
  }
  void operator()(std::string& text) {
    std::uint32_t size = 0;
    (*this)(size);
    if (take(size)) text.assign(reinterpret_cast<const char*>(taken_), size);
    // A path with a NUL in it would be cut there by the kernel: another path than was asked for.
    if (text.find('\0') != std::string::npos) sound_ = false;
  }
  void operator()(StringBlock& block) {
    std::uint32_t size = 0;
    (*this)(size);
    if (!take(size)) return;
    auto read = StringBlock::from_bytes(std::string(reinterpret_cast<const char*>(taken_), size));
    if (read) {
      block = std::move(*read);
    } else {
      sound_ = false;
    }
  }
  void operator()(RunId& run) {
    (*this)(run.job.value);
    (*this)(run.stage);
    (*this)(run.attempt);
    (*this)(run.index);
  }
  void operator()(CpuMask& mask) {
    std::uint8_t used = 0;
    (*this)(used);
    mask = {};
    if (used > mask.words.size()) sound_ = false;
    for (std::size_t i = 0; sound_ && i < used; ++i) (*this)(mask.words[i]);
  }

  void demand(bool condition) { sound_ = sound_ && condition; }

  // Everything was there, and nothing is left over.
  bool finished() const { return sound_ && rest_.empty(); }

 private:
  bool take(std::size_t size) {
    if (!sound_ || size > rest_.size()) {
      sound_ = false;
      return false;
    }
    taken_ = rest_.data();
    rest_ = rest_.subspan(size);
    return true;
  }

  std::span<const std::byte> rest_;
  const std::byte* taken_ = nullptr;
  bool sound_ = true;
};

// One list of fields per record, for both directions. `Fields` is Writer with a const record or
// Reader with a mutable one.
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Template>
void visit(Fields& f, T& r) {
  f(r.id), f(r.arguments), f(r.environment), f(r.directory);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Forget>
void visit(Fields& f, T& r) {
  f(r.id);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Launch>
void visit(Fields& f, T& r) {
  f(r.run), f(r.template_id), f(r.slot), f(r.segment), f(r.nice), f(r.cpus), f(r.time_limit_us);
  f(r.grace_us), f(r.warning_us), f(r.warning_signal), f(r.output_limit_bytes);
  f(r.memory_limit_bytes), f(r.gpu_mask), f(r.stdin_path), f(r.directory);
  f(r.more_arguments), f(r.more_environment);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, End>
void visit(Fields& f, T& r) {
  f(r.run), f(r.grace_us);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Signal>
void visit(Fields& f, T& r) {
  f(r.run), f(r.signal);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Confirm>
void visit(Fields& f, T& r) {
  f(r.run);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Shutdown>
void visit(Fields&, T&) {}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Running>
void visit(Fields& f, T& r) {
  f(r.run), f(r.slot), f(r.segment), f(r.phase), f(r.in_dump), f(r.pid), f(r.start_wall_us);
  f(r.start_monotonic_us), f(r.out_offset), f(r.err_offset), f(r.gpu_mask);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, Exited>
void visit(Fields& f, T& r) {
  f(r.run), f(r.slot), f(r.kind), f(r.step), f(r.flags), f(r.code), f(r.error), f(r.spool_error);
  f(r.segment), f(r.start_wall_us), f(r.start_monotonic_us), f(r.duration_us), f(r.cpu_us);
  f(r.peak_kib), f(r.out_offset), f(r.out_bytes), f(r.err_offset), f(r.err_bytes);
}
template <typename Fields, typename T>
requires std::is_same_v<std::remove_const_t<T>, DumpEnd>
void visit(Fields& f, T& r) {
  f(r.runs);
}

Kind kind_of(const Command& command) {
  return static_cast<Kind>(command.index() + static_cast<std::size_t>(Kind::kTemplate));
}
Kind kind_of(const Event& event) {
  return static_cast<Kind>(event.index() + static_cast<std::size_t>(Kind::kRunning));
}

template <typename Variant>
void encode_any(const Variant& any, Bytes& record) {
  Writer writer(record, kind_of(any));
  std::visit([&writer](const auto& fields) { visit(writer, fields); }, any);
}

// Reads the fields of alternative T, keeping the strings' memory if `any` holds a T already.
template <typename T, typename Variant>
void read_as(Reader& reader, Variant& any) {
  if (!std::holds_alternative<T>(any)) any.template emplace<T>();
  visit(reader, std::get<T>(any));
}

}  // namespace

void CpuMask::add(std::uint32_t cpu) {
  LEAT_CHECK(cpu < kCpusMax);
  words[cpu / 64] |= std::uint64_t{1} << (cpu % 64);
}

bool CpuMask::empty() const {
  for (const std::uint64_t word : words)
    if (word != 0) return false;
  return true;
}

const char* enforcement_name(Enforcement enforcement) {
  switch (enforcement) {
    case Enforcement::kPlain:
      return "plain";
    case Enforcement::kHybrid:
      return "hybrid";
    case Enforcement::kUnified:
      return "unified";
  }
  return "unknown";
}

const char* step_name(StartStep step) {
  switch (step) {
    case StartStep::kNone:
      return "none";
    case StartStep::kTemplate:
      return "template";
    case StartStep::kTable:
      return "run table";
    case StartStep::kWithdrawn:
      return "withdrawn";
    case StartStep::kSpool:
      return "spool file";
    case StartStep::kPipes:
      return "pipes";
    case StartStep::kProcess:
      return "process";
    case StartStep::kBinding:
      return "binding";
    case StartStep::kLimits:
      return "limits";
    case StartStep::kDirectory:
      return "directory";
    case StartStep::kStdin:
      return "standard input";
    case StartStep::kProgram:
      return "program";
  }
  return "unknown";
}

void encode(const Command& command, Bytes& record) {
  encode_any(command, record);
}

void encode(const Event& event, Bytes& record) {
  encode_any(event, record);
}

bool decode(std::span<const std::byte> record, Command& command) {
  Reader reader(record);
  Kind kind{};
  reader(kind);
  switch (kind) {
    case Kind::kTemplate:
      read_as<Template>(reader, command);
      break;
    case Kind::kForget:
      read_as<Forget>(reader, command);
      break;
    case Kind::kLaunch:
      read_as<Launch>(reader, command);
      break;
    case Kind::kEnd:
      read_as<End>(reader, command);
      break;
    case Kind::kSignal:
      read_as<Signal>(reader, command);
      break;
    case Kind::kConfirm:
      read_as<Confirm>(reader, command);
      break;
    case Kind::kShutdown:
      read_as<Shutdown>(reader, command);
      break;
    default:
      return false;
  }
  return reader.finished();
}

bool decode(std::span<const std::byte> record, Event& event) {
  Reader reader(record);
  Kind kind{};
  reader(kind);
  switch (kind) {
    case Kind::kRunning:
      read_as<Running>(reader, event);
      reader.demand(std::get<Running>(event).phase <= RunPhase::kEnding);
      break;
    case Kind::kExited:
      read_as<Exited>(reader, event);
      reader.demand(std::get<Exited>(event).kind <= ExitKind::kNotStarted);
      reader.demand(std::get<Exited>(event).step <= StartStep::kProgram);
      break;
    case Kind::kDumpEnd:
      read_as<DumpEnd>(reader, event);
      break;
    default:
      return false;
  }
  return reader.finished();
}

std::string spool_file_name(std::uint16_t slot, std::uint32_t segment, bool is_error_stream) {
  std::string name = "slot-";
  name += std::to_string(slot);
  name += '.';
  name += std::to_string(segment);
  name += is_error_stream ? ".err" : ".out";
  return name;
}

}  // namespace leat::warden
