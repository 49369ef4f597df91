// The kernels that were compiled, and those in use.
#pragma once

#include <string>
#include <vector>

#include "layer.h"

namespace holdfast {

const std::vector<const Kernels*>& all_kernels();            // the best first
const Kernels& kernels_named(const std::string& name);       // throws std::runtime_error with the reason
const Kernels& chosen_kernels();                             // likewise, when HOLDFAST_ISA names none that runs here

// GFLOP/s of multiply-adds in float32 over about `seconds`, all threads together (peak.cpp).
double fma_peak(const Kernels& kernels, int threads, double seconds);

}  // namespace holdfast
