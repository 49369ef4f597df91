// Asking for weights before they are read. Weights that do not fit into a core's second-level cache come from far away
// at every step.
#pragma once

#include "simd.h"

namespace holdfast::HOLDFAST_ISA {

// Asks for one line of the cache at every step of a sum: those of `from` in turn, which a later tile will read. One at
// a time, they arrive while the processor multiplies; it would not ask for them itself until that tile begins.
struct Ahead {
    const void* from;
    HF_INLINE void operator()(long k) const { __builtin_prefetch(static_cast<const char*>(from) + k * 64, 0, 2); }
};
struct NothingAhead {
    HF_INLINE void operator()(long) const {}
};

}  // namespace holdfast::HOLDFAST_ISA
