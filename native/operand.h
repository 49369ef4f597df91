// The operands of matrix products: their layout in memory, and how they are made from values.
//
// Sums, states, gates and everything unit-wise are in T. The operands are in T too. For products in bfloat16 they are
// rounded to bfloat16: to the nearest, ties to even.
//   - Kernels compiled with HOLDFAST_BF16, for processors with AVX512-BF16, always round. They store the operands as
//     bfloat16, two steps of a sum side by side, as the dot product needs them. That dot product treats denormal
//     operands and sums as 0, so a sum may be off by 1.2e-38 per term.
//   - All other kernels round where Layer::rounded is set, and store the operands as float. The product of two
//     bfloat16 is exact in float. So instruction sets differ only by the order of their sums and by denormals.
#pragma once

#include "layer.h"
#include "simd.h"

namespace holdfast::HOLDFAST_ISA {

struct Bfloat16 {
    std::uint16_t bits;
};

#if defined(HOLDFAST_BF16)
template <class T>
using Operand = std::conditional_t<std::is_same_v<T, float>, Bfloat16, void>;
#else
template <class T>
using Operand = T;
#endif
template <class T>
constexpr bool paired = !std::is_same_v<Operand<T>, T>;

// How many steps of a sum lie side by side; and a number of steps rounded up to whole pairs. The added step is 0.
template <class T>
constexpr long pair = paired<T> ? 2 : 1;
template <class T>
constexpr long whole(long steps) {
    return (steps + pair<T> - 1) / pair<T> * pair<T>;
}

// The nearest bfloat16, as a float. NaN has a case of its own, as rounding could turn it into infinity.
HF_INLINE float nearest(float x) {
    std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x);
    bits = x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u);
    return __builtin_bit_cast(float, bits & 0xffff0000u);
}
HF_INLINE Vec<float> nearest(Vec<float> x) {
    typedef std::uint32_t Bits __attribute__((vector_size(Types<float>::bytes)));
    const Bits bits = (Bits)x;
    return (Vec<float>)((x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}
template <class V>
HF_INLINE V nearest(V x) {  // double: its products are never in bfloat16
    return x;
}

#if defined(HOLDFAST_BF16)
// Two bfloat16 in each lane, the first in the low half.
using Pairs = __m512i;

HF_INLINE Pairs pairs_of(Vec<float> low, Vec<float> high) {
    auto rounded = [](Vec<float> v) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)); };
    return _mm512_or_si512(rounded(low), _mm512_slli_epi32(rounded(high), 16));
}
#endif

// Stores a vector as operands.
template <class T>
HF_INLINE void put(Operand<T>* to, Vec<T> v, [[maybe_unused]] bool rounded) {
#if defined(HOLDFAST_BF16)
    const auto narrow = _mm512_cvtneps_pbh((__m512)v);
    std::memcpy(to, &narrow, sizeof narrow);
#else
    store<T>(to, rounded ? nearest(v) : v);
#endif
}

// Stores the vectors of a pair of steps, make(0) and make(1); without pairs, only make(0).
template <class T, class Make>
HF_INLINE void put_steps(Operand<T>* to, [[maybe_unused]] bool rounded, Make make) {
#if defined(HOLDFAST_BF16)
    const Pairs both = pairs_of(make(0), make(1));
    std::memcpy(to, &both, sizeof both);
#else
    put<T>(to, make(0), rounded);
#endif
}

// Stores `count` values that lie `stride` apart, times `mask` if it is not null, and 0 up to the end of the last
// vector.
template <class T>
void put_values(Operand<T>* to, const T* from, long stride, long count, bool rounded, const T* mask = nullptr) {
    long k = 0;
    if (!paired<T> && stride == 1 && !rounded && !mask)
        for (; k + lanes<T> <= count; k += lanes<T>) put<T>(to + k, load<T>(from + k), false);
    for (; k < count; k += lanes<T>) {
        const long n = std::min(count - k, lanes<T>);
        Vec<T> v{};
        if (stride == 1)
            v = load_some<T>(from + k, n);
        else
            for (long j = 0; j < n; j++) v[j] = from[(k + j) * stride];
        if (mask) v = v * load_some<T>(mask + k, n);
        put<T>(to + k, v, rounded);
    }
}

// Writes the columns of `from` as the steps of a product. `from` has at most a vector of rows; missing rows are 0. The
// vector of step n goes to to[n * ld_to]; where operands lie in pairs, the vectors of steps n and n + 1 alternate
// there.
template <class T>
void put_columns(const T* from, long ld_from, long rows, long columns, bool rounded, Operand<T>* to, long ld_to) {
    constexpr long W = lanes<T>;
    for (long n = 0; n < columns; n += pair<T> * W) {
        Vec<T> v[pair<T>][W];
        for (long j = 0; j < pair<T>; j++) {
            const long begin = n + j * W, steps = std::min(W, columns - begin);
            for (long k = 0; k < W; k++)
                v[j][k] = k < rows && steps > 0 ? load_some<T>(from + k * ld_from + begin, steps) : Vec<T>{};
            transpose_lanes<T>(v[j]);
        }
        const long count = std::min(pair<T> * W, columns - n);
        for (long k = 0; k < count; k += pair<T>)
            put_steps<T>(to + (n + k) * ld_to, rounded, [&](long j) { return v[(k + j) / W][(k + j) % W]; });
    }
}

}  // namespace holdfast::HOLDFAST_ISA
