// The vector type of one instruction set, and the functions that cells need on it.
//
// This header is compiled once per instruction set (see kernels.cpp): HOLDFAST_BYTES is the width of a vector, and
// everything stands in a namespace of its own, so that code of one set can never be linked into another. Arithmetic on
// Vec is the compiler's own (GCC and Clang vector extensions); a * b + c becomes a fused multiply-add.
//
// Approximations, with the largest absolute error over all finite arguments (asserted by a sweep, for every set):
//     sigmoid   float 2.0e-7    double 4e-16
//     tanh      float 2.5e-7    double 5e-16
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace holdfast::HOLDFAST_ISA {

template <class T>
struct Types {
    using Int = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
    static constexpr int bytes = HOLDFAST_BYTES ? HOLDFAST_BYTES : int(sizeof(T));
    typedef T Vec __attribute__((vector_size(bytes)));
    typedef Int Mask __attribute__((vector_size(bytes)));
};

template <class T>
using Vec = typename Types<T>::Vec;
template <class T>
constexpr long lanes = Types<T>::bytes / long(sizeof(T));

#define HF_INLINE inline __attribute__((always_inline))

template <class T>
HF_INLINE Vec<T> load(const T* p) {
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class T>
HF_INLINE void store(T* p, Vec<T> v) {
    std::memcpy(p, &v, sizeof v);
}
// The same for the first n values; the others are 0, and are not written.
template <class T>
HF_INLINE Vec<T> load_some(const T* p, long n) {
    if (n >= lanes<T>) return load<T>(p);
    Vec<T> v{};
    for (long k = 0; k < n; k++) v[k] = p[k];
    return v;
}
template <class T>
HF_INLINE void store_some(T* p, Vec<T> v, long n) {
    if (n >= lanes<T>) return store<T>(p, v);
    for (long k = 0; k < n; k++) p[k] = v[k];
}
template <class T>
HF_INLINE Vec<T> all(T x) {
    return x - Vec<T>{};
}
template <class T>
HF_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
    return b < a ? b : a;
}
template <class T>
HF_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
    return b > a ? b : a;
}
template <class T>
HF_INLINE Vec<T> abs(Vec<T> a) {
    return a < Vec<T>{} ? -a : a;
}

// 1 / d for d in [1, 2^126]: Newton's steps on the hardware's estimate where there is one, else a division.
template <class T>
HF_INLINE Vec<T> reciprocal(Vec<T> d) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        Vec<T> r = (Vec<T>)_mm512_rcp14_ps((__m512)d);
        return r * (T(2) - d * r);
    }
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4) {
        Vec<T> r = (Vec<T>)_mm256_rcp_ps((__m256)d);  // 12 bits: two steps
        r = r * (T(2) - d * r);
        return r * (T(2) - d * r);
    }
#endif
    return T(1) / d;
}

// exp(x) = 2^n p(x - n ln 2), n the nearest whole number to x / ln 2, p the polynomial of least relative error on
// |r| <= ln 2 / 2 (degree 6: 1.9e-9; degree 11: 3.1e-18). Adding `magic` rounds to a whole number and leaves it in the
// low bits. Arguments are clamped to what the type can hold, [-87, 88] and [-708, 709]; NaN stays NaN.
template <class T>
HF_INLINE Vec<T> exp(Vec<T> x) {
    using Mask = typename Types<T>::Mask;
    constexpr bool single = sizeof(T) == 4;
    constexpr T low = single ? T(-87) : T(-708), high = single ? T(88) : T(709);
    constexpr T magic = single ? T(12582912) : T(6755399441055744);  // 1.5 * 2^23, 1.5 * 2^52
    constexpr T ln2_high = single ? T(0.693359375) : T(6.93147180369123816490e-01);
    constexpr T ln2_low = single ? T(-2.12194440054690583e-4) : T(1.90821492927058770002e-10);
    x = x < low ? all<T>(low) : x;
    x = x > high ? all<T>(high) : x;
    Vec<T> shifted = x * T(1.44269504088896340736) + magic;
    Vec<T> n = shifted - magic;
    Vec<T> r = (x - n * ln2_high) - n * ln2_low;
    Vec<T> p;
    if constexpr (single) {
        p = r * T(0.00138368357447983854) + T(0.00837482403066280796);
        p = p * r + T(0.0416682261884728393);
        p = p * r + T(0.166664200724451394);
        p = p * r + T(0.499999920751009828);
        p = p * r + T(1.0000000363446398);
        p = p * r + T(1.00000000055460625);
    } else {
        p = r * T(2.49943032738143951e-8) + T(2.76323081748944858e-7);
        p = p * r + T(2.75576226204719804e-6);
        p = p * r + T(0.0000248014864814364009);
        p = p * r + T(0.000198412694324704883);
        p = p * r + T(0.00138888889512610416);
        p = p * r + T(0.00833333333355943393);
        p = p * r + T(0.0416666666664926297);
        p = p * r + T(0.166666666666661682);
        p = p * r + T(0.50000000000000177);
        p = p * r + T(1.00000000000000003);
        p = p * r + T(1);
    }
    constexpr int mantissa = single ? 23 : 52;
    constexpr typename Types<T>::Int bias = single ? 127 : 1023;
    Mask whole = (Mask)shifted - (Mask)all<T>(magic);
    return p * (Vec<T>)((whole + bias) << mantissa);
}

template <class T>
HF_INLINE Vec<T> sigmoid(Vec<T> x) {
    return reciprocal<T>(T(1) + exp<T>(-x));
}

template <class T>
HF_INLINE Vec<T> tanh(Vec<T> x) {
    return T(1) - T(2) * reciprocal<T>(T(1) + exp<T>(x + x));
}

// Swaps the two blocks of `size` lanes beside the diagonal of every two rows that lie `size` apart.
template <class T, int size, int... lane>
HF_INLINE void swap_blocks(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, lane...>) {
    constexpr int W = sizeof...(lane);
    const Vec<T> first = __builtin_shufflevector(a, b, (lane & size ? W + lane - size : lane)...);
    b = __builtin_shufflevector(a, b, (lane & size ? W + lane : lane + size)...);
    a = first;
}

template <class T, int size = lanes<T> / 2>
HF_INLINE void transpose_lanes(Vec<T> (&v)[lanes<T>]) {
    if constexpr (size > 0) {
#pragma GCC unroll 16
        for (int k = 0; k < lanes<T>; k++)
            if (!(k & size)) swap_blocks<T, size>(v[k], v[k + size], std::make_integer_sequence<int, lanes<T>>{});
        transpose_lanes<T, size / 2>(v);
    }
}

// to[n * ld_to ...] = a vector of column n of `from`: of `rows` rows, at most a vector of them, and 0 for the others.
template <class T>
void transpose(const T* from, long ld_from, long rows, long columns, T* to, long ld_to) {
    constexpr long W = lanes<T>;
    for (long n = 0; n < columns; n += W) {
        const long count = std::min(W, columns - n);
        Vec<T> v[W];
        for (long k = 0; k < W; k++) v[k] = k < rows ? load_some<T>(from + k * ld_from + n, count) : Vec<T>{};
        transpose_lanes<T>(v);
        for (long k = 0; k < count; k++) store<T>(to + (n + k) * ld_to, v[k]);
    }
}

// A function of each lane, where speed does not matter.
template <class T, class F>
HF_INLINE Vec<T> each(Vec<T> x, F f) {
    for (long k = 0; k < lanes<T>; k++) x[k] = f(x[k]);
    return x;
}

}  // namespace holdfast::HOLDFAST_ISA
