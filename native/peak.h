// Only fused multiply-adds: the most that one thread can do with an instruction set.
#pragma once

#include "simd.h"

namespace holdfast::HOLDFAST_ISA {

// `rounds` steps of 12 independent chains: more than the latency of the units needs, and few enough for the registers
// of every instruction set. Returns the number of operations, two per lane and step.
inline double fma_chains(long rounds, float factor, float term, float* sum) {
    constexpr int chains = 12;
    const Vec<float> a = all<float>(factor), b = all<float>(term);
    Vec<float> c[chains];
    for (int k = 0; k < chains; k++) c[k] = all<float>(float(k));
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int k = 0; k < chains; k++) c[k] = c[k] * a + b;
    }
    Vec<float> total = c[0];
    for (int k = 1; k < chains; k++) total += c[k];
    store(sum, total);
    return 2.0 * chains * lanes<float> * double(rounds);
}

inline double fma_rounds(long rounds) {
    volatile float factor = 0.5f, term = 1.0f;  // volatile: the compiler cannot compute the result
    float sum[lanes<float>];
    const double operations = fma_chains(rounds, factor, term, sum);
    volatile float kept = sum[0];
    (void)kept;
    return operations;
}

}  // namespace holdfast::HOLDFAST_ISA
