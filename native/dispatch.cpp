// Chooses the kernels of the best instruction set of this processor, once per process; HOLDFAST_ISA names another.
#include "dispatch.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "dot_product_speed.h"

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
    static const std::vector<InstructionSet> all = [] {
        std::vector<InstructionSet> sets = {
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
        const auto is_bf16 = [](const InstructionSet& set) { return set.name == std::string("avx512_bf16"); };
        const auto bf16 = std::find_if(sets.begin(), sets.end(), is_bf16);
        if (bf16 != sets.end() && !dot_product_pays()) std::swap(bf16[0], bf16[1]);  // AVX-512 comes before it
        return sets;
    }();
    return all;
}

namespace {

// The names of the compiled sets, or only of those that run here.
std::string names(bool only_here) {
    std::string all;
    for (const InstructionSet& set : all_instruction_sets())
        if (!only_here || set.runs_here()) all += std::string(all.empty() ? "" : ", ") + set.name;
    return all.empty() ? "none" : all;
}

}  // namespace

const InstructionSet& instruction_set_named(const std::string& name) {
    for (const InstructionSet& set : all_instruction_sets()) {
        if (name != set.name) continue;
        if (set.runs_here()) return set;
        throw InstructionSetError("This processor does not have " + name + " instructions; it can run: " + names(true) +
                                  ".");
    }
    for (const char* known : {"avx512_amx", "avx512_bf16", "avx512", "avx2", "neon", "scalar"})
        if (name == known)
            throw InstructionSetError("This installation has kernels for " + names(false) + ", not for " + name +
                                      ". Install Holdfast again with HOLDFAST_ISAS=native, which compiles all that the "
                                      "processor has, or with HOLDFAST_ISAS=" + name + ".");
    throw InstructionSetError("There are no kernels for '" + name + "'; this processor can run: " + names(true) + ".");
}

const InstructionSet& chosen_instruction_set() {
    static const InstructionSet& chosen = [&]() -> const InstructionSet& {
        const char* name = std::getenv("HOLDFAST_ISA");
        if (name && *name) {
            try {
                return instruction_set_named(name);
            } catch (const InstructionSetError& error) {
                throw InstructionSetError("HOLDFAST_ISA is " + std::string(name) + ". " + error.what() +
                                          " Without HOLDFAST_ISA, the best compiled set is used.");
            }
        }
        for (const InstructionSet& set : all_instruction_sets())
            if (set.runs_here()) return set;
        throw InstructionSetError("This processor can run none of the kernels in this installation (" + names(false) +
                                  "). Install Holdfast again on this processor, or with HOLDFAST_ISAS=all for any.");
    }();
    return chosen;
}

const Kernels& kernels_named(const std::string& name, Products products) {
    return instruction_set_named(name).kernels(products);
}

const Kernels& chosen_kernels(Products products) { return chosen_instruction_set().kernels(products); }

}  // namespace holdfast
