#pragma once

// plot.h - the statistics of an ensemble as a drawing.

#include <ostream>

#include "examples/mpi/ensemble/statistics.h"

namespace ensemble {

// An SVG: over each conductivity the mean temperature with a bar of one sigma to either side and
// a thin line between the extremes; it says its numbers when the mouse is on it. REQUIRES: a value.
void plot(std::ostream& to, const Statistics& statistics);

}  // namespace ensemble
