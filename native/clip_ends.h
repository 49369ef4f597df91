// An activation of an array, and what the activations of a cell store at the bounds of its gate clip.
#pragma once

#include "activations.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
void activate_each(Function<T> f, const T* x, T* y, long count) {
    constexpr long W = lanes<T>;
    for (long k = 0; k < count; k += W) {
        const long n = std::min(W, count - k);
        const Vec<T> v = activate<T>(f, load_some<T>(x + k, n));
        store_some<T>(y + k, v, n);
    }
}

// The layer with phi_ends and sigma_ends: what its activations store for the bounds of the gate clip. Not inlined, so
// that forward and backward get the same bits.
template <class T>
__attribute__((noinline)) Layer<T> with_ends(Layer<T> l) {
    const T ends[2] = {-l.options.gate_clip, l.options.gate_clip};
    auto set_ends = [&](const Function<T>& f, T* stored) {
        if (stores_argument(f))
            std::copy_n(ends, 2, stored);
        else
            activate_each<T>(f, ends, stored, 2);
    };
    set_ends(l.options.phi, l.options.phi_ends);
    set_ends(l.options.sigma, l.options.sigma_ends);
    return l;
}

}  // namespace holdfast::HOLDFAST_ISA
