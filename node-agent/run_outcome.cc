#include "node-agent/run_outcome.h"

#include <csignal>

namespace leat::agent {
namespace {

using warden::Exited;
using warden::ExitFlag;
using warden::ExitKind;
using warden::StartStep;

Outcome outcome_of_refused_start(StartStep step) {
  switch (step) {
    case StartStep::kWithdrawn:
    case StartStep::kTable:  // we asked for too much at once; nobody's program is to blame
      return Outcome::kWithdrawn;
    case StartStep::kSpool:
      return Outcome::kSpoolFull;
    case StartStep::kStdin:
      return Outcome::kInputLost;
    case StartStep::kNone:
    case StartStep::kTemplate:
    case StartStep::kPipes:
    case StartStep::kProcess:
    case StartStep::kBinding:
    case StartStep::kLimits:
    case StartStep::kDirectory:
    case StartStep::kProgram:
      break;
  }
  return Outcome::kCouldNotStart;
}

void judge(const Exited& exited, bool by_order, RunResult& result) {
  if (exited.kind == ExitKind::kNotStarted) {
    result.outcome = outcome_of_refused_start(exited.step);
    if (result.outcome == Outcome::kCouldNotStart) result.code = exited.error;
    return;
  }
  // A program that ends itself properly on SIGTERM was ended all the same.
  const bool was_signaled = exited.kind == ExitKind::kSignaled;
  const std::int32_t ended_by = was_signaled ? exited.code : SIGTERM;
  result.outcome = was_signaled ? Outcome::kSignal : Outcome::kExit;
  result.code = exited.code;
  const bool succeeded = !was_signaled && exited.code == 0;
  if (by_order) {
    result.code = ended_by;
  } else if (exited.has(ExitFlag::kTimeLimitHit)) {
    result.outcome = Outcome::kTimeLimit;
    result.code = ended_by;
  } else if (exited.has(ExitFlag::kOutOfMemory) && !succeeded) {
    // A program that has lost a child to its limit and copes with it has not failed.
    result.outcome = Outcome::kOutOfMemory;
  } else if (exited.has(ExitFlag::kSpoolFailed)) {
    result.outcome = Outcome::kSpoolFull;
    result.code = exited.spool_error;
  }
}

}  // namespace

RunEnd to_run_end(const Exited& exited, std::uint32_t floor_kib) {
  RunEnd end;
  end.run = exited.run;
  end.by_order = exited.has(ExitFlag::kEndedByOrder) || exited.step == StartStep::kWithdrawn;
  judge(exited, end.by_order, end.result);
  if (exited.kind == ExitKind::kNotStarted) return end;
  end.result.start_us = exited.start_monotonic_us;
  end.result.duration_us = static_cast<std::int64_t>(exited.duration_us);
  end.result.cpu_us = static_cast<std::int64_t>(exited.cpu_us);
  const std::int64_t peak = static_cast<std::int64_t>(exited.peak_kib);
  const bool at_floor = exited.peak_kib <= floor_kib && !exited.has(ExitFlag::kPeakOfGroup);
  end.result.peak_kib = at_floor ? -peak : peak;
  end.result.output_bytes = static_cast<std::int64_t>(exited.out_bytes);
  const bool out_cut = exited.has(ExitFlag::kOutTruncated);
  const bool error_cut = exited.has(ExitFlag::kErrTruncated);
  end.result.flags =
      (out_cut ? RunColumns::kOutputCut : 0) | (error_cut ? RunColumns::kErrorCut : 0);
  end.has_place = true;
  end.place = {exited.slot,
               exited.segment,
               {exited.out_offset, exited.out_bytes, out_cut},
               {exited.err_offset, exited.err_bytes, error_cut}};
  return end;
}

}  // namespace leat::agent
