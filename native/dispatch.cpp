// Chooses the kernels of the best instruction set of this processor, once per process; HOLDFAST_ISA names another.
#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace holdfast {

// CMakeLists.txt defines HOLDFAST_HAS_... for each instruction set that it compiles.
#define HF_KERNELS(isa)           \
    namespace isa {               \
    extern const Kernels kernels; \
    }
HF_KERNELS(avx512_amx)
HF_KERNELS(avx512_bf16)
HF_KERNELS(avx512)
HF_KERNELS(avx2)
HF_KERNELS(neon)
HF_KERNELS(scalar)

const std::vector<InstructionSet>& all_instruction_sets() {
    static const std::vector<InstructionSet> all = {
#if defined(HOLDFAST_HAS_avx512_amx)
        {"avx512_amx", &avx512::kernels, &avx512_amx::kernels},
#endif
#if defined(HOLDFAST_HAS_avx512_bf16)
        {"avx512_bf16", &avx512::kernels, &avx512_bf16::kernels},
#endif
#if defined(HOLDFAST_HAS_avx512)
        {"avx512", &avx512::kernels, &avx512::kernels},
#endif
#if defined(HOLDFAST_HAS_avx2)
        {"avx2", &avx2::kernels, &avx2::kernels},
#endif
#if defined(HOLDFAST_HAS_neon)
        {"neon", &neon::kernels, &neon::kernels},
#endif
#if defined(HOLDFAST_HAS_scalar)
        {"scalar", &scalar::kernels, &scalar::kernels},
#endif
    };
    return all;
}

const InstructionSet& instruction_set_named(const std::string& name) {
    std::string here;
    for (const InstructionSet& set : all_instruction_sets()) {
        if (name == set.name) {
            if (set.runs_here()) return set;
            throw std::runtime_error("This processor does not have " + name + " instructions.");
        }
        if (set.runs_here()) here += std::string(here.empty() ? "" : ", ") + set.name;
    }
    throw std::runtime_error("There are no kernels for '" + name + "'; this processor can run: " + here + ".");
}

const InstructionSet& chosen_instruction_set() {
    static const InstructionSet& chosen = [&]() -> const InstructionSet& {
        if (const char* name = std::getenv("HOLDFAST_ISA"); name && *name) return instruction_set_named(name);
        for (const InstructionSet& set : all_instruction_sets())
            if (set.runs_here()) return set;
        throw std::runtime_error("No kernels run on this processor.");
    }();
    return chosen;
}

const Kernels& kernels_named(const std::string& name, Products products) {
    return instruction_set_named(name).kernels(products);
}

const Kernels& chosen_kernels(Products products) { return chosen_instruction_set().kernels(products); }

}  // namespace holdfast
