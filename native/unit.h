// One vector of units at one step, of one row or of several side by side: its masks, zoneout, clips and padding.
#pragma once

#include "layer.h"
#include "several.h"

namespace holdfast::HOLDFAST_ISA {

// What belongs to one vector of units. A null pointer: the option is off.
template <class T>
struct Unit {
    long n;                          // units in the vector, <= W; the other lanes are padding
    const T* peephole = nullptr;     // p_i, p_f, p_o (p_i, p_o when coupled), `peephole_stride` values apart
    long peephole_stride = 0;
    T* peephole_gradient = nullptr;  // the same, `gradient_stride` values apart; backward adds to it
    long gradient_stride = 0;
    const T* candidate = nullptr;    // the dropout mask of the candidate
    const std::uint8_t* zoned_h = nullptr;  // nonzero where h keeps its old value
    const std::uint8_t* zoned_c = nullptr;  // nonzero where c keeps its old value
    long apart = 0;                         // from the masks of a row to those of the row beside it
};

// The lanes in which the zoneout mask is nonzero.
template <class T>
HF_INLINE typename Types<T>::Mask keeps_old(const std::uint8_t* mask, long n) {
    typename Types<T>::Bytes zoned{};
    if (n >= lanes<T>)
        std::memcpy(&zoned, mask, sizeof zoned);
    else
        for (long k = 0; k < n; k++) zoned[k] = mask[k];
    return __builtin_convertvector(zoned, typename Types<T>::Mask) != 0;
}

// Zoneout. With a mask (training): the old value where the mask is nonzero. Without one: the expected value. The masks
// of rows side by side are `apart` values apart.
template <class T, class V>
HF_INLINE V zoned(const std::uint8_t* mask, long apart, long n, T probability, V old, V updated) {
    if (mask)
        return side_by_side<T, V>([&](int k) {
            return keeps_old<T>(mask + k * apart, n) ? at_place<T>(old, k) : at_place<T>(updated, k);
        });
    return probability != 0 ? updated + probability * (old - updated) : updated;
}

template <class T>
HF_INLINE Vec<T> zoned(const std::uint8_t* mask, long n, T probability, Vec<T> old, Vec<T> updated) {
    return zoned<T, Vec<T>>(mask, 0, n, probability, old, updated);
}

// The gradients of the two arguments of `zoned`, from the gradient d of its result.
template <class T>
struct ZonedGradients {
    Vec<T> old, updated;
};
template <class T>
HF_INLINE ZonedGradients<T> zoned_backward(const std::uint8_t* mask, long n, T probability, Vec<T> d) {
    const Vec<T> zero{};
    if (mask) {
        const auto stays = keeps_old<T>(mask, n);
        return {stays ? d : zero, stays ? zero : d};
    }
    if (probability == 0) return {zero, d};
    return {probability * d, d - probability * d};
}

// x between -bound and bound; a bound of 0 means no clip. NaN stays NaN.
template <class T, class V>
HF_INLINE V clip(T bound, V x) {
    if (!(bound > 0)) return x;
    return side_by_side<T, V>(
        [&](int k) { return min<T>(max<T>(at_place<T>(x, k), all<T>(-bound)), all<T>(bound)); });
}

// The options that a unit of any cell can have. Where an option is off, its function returns the value unchanged.
// `plain` (all options off) is known to the compiler, so plain cells have no checks in the loop.
template <class T, bool plain>
struct UnitOptions {
    const Options<T>& options;
    const Unit<T>& u;

    template <class V, class At>
    HF_INLINE V zoneout_h(At h_old, V h) const {
        if constexpr (plain)
            return h;
        else
            return zoned<T, V>(u.zoned_h, u.apart, u.n, options.zoneout_h, h_old.load(), h);
    }
    HF_INLINE ZonedGradients<T> zoneout_h_backward(Vec<T> d) const {
        if constexpr (plain) return {Vec<T>{}, d};
        return zoned_backward<T>(u.zoned_h, u.n, options.zoneout_h, d);
    }
    // The dropout of the candidate, and its mask: 1 without dropout.
    template <class V>
    HF_INLINE V dropout(V candidate) const {
        if constexpr (plain)
            return candidate;
        else if (!u.candidate)
            return candidate;
        else
            return candidate * side_by_side<T, V>([&](int k) { return load_some<T>(u.candidate + k * u.apart, u.n); });
    }
    HF_INLINE Vec<T> dropout_mask() const {
        return !plain && u.candidate ? load_some<T>(u.candidate, u.n) : all<T>(1);
    }
};

// Sets the padding, the lanes beyond the first n, to 0 in each of `slots` vectors. The padding may be infinite or NaN,
// and a product that reads it with weights of 0 would become NaN.
template <class T>
HF_INLINE void clear_padding(T* g, long slots, long n) {
    for (long k = 0; k < slots && n < lanes<T>; k++) store<T>(g + k * lanes<T>, only<T>(load<T>(g + k * lanes<T>), n));
}

}  // namespace holdfast::HOLDFAST_ISA
