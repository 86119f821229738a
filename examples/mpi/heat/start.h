#pragma once

// start.h - what a plate is like before the first step.

#include <vector>

#include "examples/mpi/heat/blocks.h"
#include "examples/mpi/heat/parameters.h"

namespace heat {

// The cells of a block, row by row; each depends on its place alone, not on the block.
//
//   cold   0 everywhere
//   spots  round spots of up to 100 degrees, strewn by the seed
//   wave   100 sin(pi x) sin(pi y): between edges of 0 degrees it keeps its shape and fades, in
//          each step by the factor 1 - 8 conductivity sin^2(pi / (2 (size + 1)))
std::vector<double> start_of(const Parameters& parameters, const Block& block);

}  // namespace heat
