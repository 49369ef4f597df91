// The compiled kernels, and the kernels in use.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "layer.h"

namespace holdfast {

// The operands of products: unchanged values, or float rounded to bfloat16.
enum class Products { full, bfloat16 };

// The kernels of an instruction set. The kernels for bfloat16 are kernels for float whose Layer is `rounded`; they are
// the same as the full ones where the processor has no bfloat16 products.
struct InstructionSet {
    const char* name;
    const Kernels *full, *bfloat16;

    const Kernels& kernels(Products products) const { return products == Products::full ? *full : *bfloat16; }
    bool runs_here() const { return full->runs_here() && bfloat16->runs_here(); }
};

// An instruction set that is not compiled or does not run here; says what does, and how to get others.
struct InstructionSetError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

const std::vector<InstructionSet>& all_instruction_sets();             // the compiled ones, the best first
const InstructionSet& instruction_set_named(const std::string& name);  // throws InstructionSetError
const InstructionSet& chosen_instruction_set();                        // throws the same
const Kernels& kernels_named(const std::string& name, Products products = Products::full);
const Kernels& chosen_kernels(Products products = Products::full);

}  // namespace holdfast
