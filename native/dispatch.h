// The kernels that were compiled, and those in use.
#pragma once

#include <string>
#include <vector>

#include "layer.h"

namespace holdfast {

// What products are made of: values as they are, or float rounded to bfloat16.
enum class Products { full, bfloat16 };

// The kernels that an instruction set has. Those for bfloat16 are kernels for float, and the same where the processor
// has no products of its own for it; they are given a Layer that is `rounded`.
struct InstructionSet {
    const char* name;
    const Kernels *full, *bfloat16;

    const Kernels& kernels(Products products) const { return products == Products::full ? *full : *bfloat16; }
    bool runs_here() const { return full->runs_here() && bfloat16->runs_here(); }
};

const std::vector<InstructionSet>& all_instruction_sets();             // the best first
const InstructionSet& instruction_set_named(const std::string& name);  // throws std::runtime_error with the reason
const InstructionSet& chosen_instruction_set();  // likewise, when HOLDFAST_ISA names none that runs here
const Kernels& kernels_named(const std::string& name, Products products = Products::full);
const Kernels& chosen_kernels(Products products = Products::full);

// GFLOP/s of multiply-adds in float32 over about `seconds`, all threads together (peak.cpp).
double fma_peak(const Kernels& kernels, int threads, double seconds);

}  // namespace holdfast
