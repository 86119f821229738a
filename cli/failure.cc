#include "cli/failure.h"

namespace leat::cli {

void fail(ExitCode code, std::string message) {
  throw Failure{code, std::move(message)};
}

void fail(const Refusal& refusal, const std::string& prefix) {
  fail(exit_code_of(refusal.reason), prefix + refusal.message);
}

ExitCode exit_code_of(Reason reason) {
  switch (reason) {
    case Reason::kNotFound:
    case Reason::kInvalid:
      return ExitCode::kUsage;
    case Reason::kConflict:
    case Reason::kOverloaded:
    case Reason::kNotInThisVersion:
      return ExitCode::kRefused;
    case Reason::kDisconnected:
      return ExitCode::kUnreachable;
  }
  return ExitCode::kRefused;
}

std::string first_line(const kj::Exception& exception) {
  const std::string text = exception.getDescription().cStr();
  return text.substr(0, text.find('\n'));
}

}  // namespace leat::cli
