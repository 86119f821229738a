#pragma once

// failure.h - how a command ends when it cannot do what it was asked.
//
// Commands are straight lines of steps; the first that fails throws a Failure, which main.cc
// prints as one line. Never thrown inside a promise's continuation: KJ would rewrap it.

#include <kj/exception.h>

#include <string>
#include <utility>

#include "base/result.h"
#include "transport/wire_refusal.h"

namespace leat::cli {

// What scripts go by (leat.1).
enum class ExitCode : int {
  kDone = 0,
  kWorkFailed = 1,
  kUsage = 2,
  kUnreachable = 3,
  kRefused = 4,
  kTimedOut = 124,
};

struct Failure {
  ExitCode code = ExitCode::kUsage;
  std::string message;  // "WHAT: what to do", without the program's name
};

// Standard output is closed. Not an error: the reader had enough.
struct OutputClosed {};

[[noreturn]] void fail(ExitCode code, std::string message);

// `prefix`, if any, says what was refused: "job 17: ".
[[noreturn]] void fail(const Refusal& refusal, const std::string& prefix = "");

ExitCode exit_code_of(Reason reason);

// The machine's complaint in one line: what, without where in our sources.
std::string first_line(const kj::Exception& exception);

using transport::read_refusal;

template <typename T>
T value_or_fail(Result<T> result, const std::string& prefix = "") {
  if (!result.ok()) fail(result.refusal(), prefix);
  return std::move(result).value();
}

}  // namespace leat::cli
