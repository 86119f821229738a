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

Refusal read_refusal(schema::Refusal::Reader refusal) {
  const std::string message(refusal.getMessage().begin(), refusal.getMessage().size());
  switch (refusal.getReason()) {
    case schema::Refusal::Reason::NOT_FOUND:
      return {Reason::kNotFound, message};
    case schema::Refusal::Reason::INVALID:
      return {Reason::kInvalid, message};
    case schema::Refusal::Reason::OVERLOADED:
      return {Reason::kOverloaded, message};
    case schema::Refusal::Reason::DISCONNECTED:
      return {Reason::kDisconnected, message};
    case schema::Refusal::Reason::NOT_IN_THIS_VERSION:
      return {Reason::kNotInThisVersion, message};
    case schema::Refusal::Reason::CONFLICT:
      break;
  }
  return {Reason::kConflict, message};
}

}  // namespace leat::cli
