// The kernels that were compiled, and those in use.
#pragma once

#include <string>
#include <vector>

#include "layer.h"

namespace holdfast {

const std::vector<const Kernels*>& all_kernels();            // the best first
const Kernels& kernels_named(const std::string& name);       // throws std::runtime_error with the reason
const Kernels& chosen_kernels();                             // likewise, when HOLDFAST_ISA names none that runs here

}  // namespace holdfast
