// The vector type of one instruction set, and the functions that cells need on it.
//
// This header is compiled once per instruction set (see kernels.cpp): HOLDFAST_BYTES is the width of a vector, and
// everything stands in a namespace of its own, so that code of one set can never be linked into another. Arithmetic on
// Vec is the compiler's own (GCC and Clang vector extensions); a * b + c becomes a fused multiply-add.
//
// Approximations, with the largest absolute error over all finite arguments (asserted by a sweep, for every set):
//     sigmoid   float 2.0e-7    double 4e-16
//     tanh      float 2.5e-7    double 5e-16
// and of α tanh(β x), α times 3.1e-7 and 6e-16, for which β x is rounded.
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
    typedef std::uint8_t Bytes __attribute__((vector_size(bytes / int(sizeof(T)))));  // one for each lane
};

template <class T>
using Vec = typename Types<T>::Vec;
template <class T>
constexpr long lanes = Types<T>::bytes / long(sizeof(T));

#define HF_INLINE inline __attribute__((always_inline))

// All bits in the first n lanes, none in the others.
template <class T>
HF_INLINE typename Types<T>::Mask first_lanes(long n) {
    typename Types<T>::Mask lane;
    for (int k = 0; k < lanes<T>; k++) lane[k] = k;
    return lane < typename Types<T>::Int(n);
}

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
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
    else
        return (Vec<T>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
#elif defined(__AVX2__)
    if constexpr (Types<T>::bytes == 32 && sizeof(T) == 4)
        return (Vec<T>)_mm256_maskload_ps(p, (__m256i)first_lanes<T>(n));
    else if constexpr (Types<T>::bytes == 32)
        return (Vec<T>)_mm256_maskload_pd(p, (__m256i)first_lanes<T>(n));
#endif
    Vec<T> v{};
    std::memcpy(&v, p, n * sizeof(T));
    return v;
}
template <class T>
HF_INLINE void store_some(T* p, Vec<T> v, long n) {
    if (n >= lanes<T>) return store<T>(p, v);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v);
    else
        _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)v);
    return;
#elif defined(__AVX2__)
    if constexpr (Types<T>::bytes == 32 && sizeof(T) == 4)
        return _mm256_maskstore_ps(p, (__m256i)first_lanes<T>(n), (__m256)v);
    else if constexpr (Types<T>::bytes == 32)
        return _mm256_maskstore_pd(p, (__m256i)first_lanes<T>(n), (__m256d)v);
#endif
    std::memcpy(p, &v, n * sizeof(T));
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

// x, but at least `low` and at most `high`; NaN stays NaN.
template <class T>
HF_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), (__m512)x));
    else
        return (Vec<T>)_mm512_min_pd(_mm512_set1_pd(high), _mm512_max_pd(_mm512_set1_pd(low), (__m512d)x));
#elif defined(__AVX2__)
    if constexpr (Types<T>::bytes == 32 && sizeof(T) == 4)
        return (Vec<T>)_mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), (__m256)x));
    else if constexpr (Types<T>::bytes == 32)
        return (Vec<T>)_mm256_min_pd(_mm256_set1_pd(high), _mm256_max_pd(_mm256_set1_pd(low), (__m256d)x));
#endif
    x = x < low ? all<T>(low) : x;
    return x > high ? all<T>(high) : x;
}

// 1 + exp(scale x), for a scale of 1, -1 or 2: exp(scale x) = 2^n p(scale r) where r = x - n ln 2 / scale, n is the whole
// number nearest to scale x / ln 2, and p the polynomial of least relative error on |scale r| <= ln 2 / 2 (degree 5:
// 7.5e-8; degree 10: 2.1e-16). Adding `magic` rounds to a whole number and leaves it, with the exponent's bias, in the low
// bits. What exp takes is clamped to what the type can hold; NaN stays NaN.
template <class T, int scale>
HF_INLINE Vec<T> one_plus_exp(Vec<T> x) {
    using Mask = typename Types<T>::Mask;
    constexpr bool single = sizeof(T) == 4;
    constexpr T limit = single ? T(87) / (scale < 0 ? -scale : scale) : T(708) / (scale < 0 ? -scale : scale);
    constexpr T magic = single ? T(12582912 + 127) : T(6755399441055744 + 1023);  // 1.5 * 2^23, 1.5 * 2^52
    constexpr T s = scale, s2 = s * s, s3 = s2 * s, s4 = s3 * s, s5 = s4 * s;
    x = clamp<T>(x, -limit, limit);
    Vec<T> shifted = x * (s * T(1.44269504088896340736)) + magic;
    Vec<T> r = x - (shifted - magic) * (T(0.693147180559945309417) / s);
    Vec<T> p;
    if constexpr (single) {
        p = r * (s5 * T(0.00829765548834836057)) + s4 * T(0.0419153820303408182);
        p = p * r + s3 * T(0.166675747236879116);
        p = p * r + s2 * T(0.499988948509344932);
        p = p * r + s * T(0.999999691991951951);
        p = p * r + T(1.00000007165471414);
    } else {
        p = r * (s5 * s5 * T(2.74884461941240109e-7)) + s5 * s4 * T(2.76397681833815148e-6);
        p = p * r + s4 * s4 * T(0.0000248019176801579195);
        p = p * r + s5 * s2 * T(0.000198411713844227103);
        p = p * r + s5 * s * T(0.00138888884991462965);
        p = p * r + s5 * T(0.00833333338466561289);
        p = p * r + s4 * T(0.0416666666684259811);
        p = p * r + s3 * T(0.166666666665577418);
        p = p * r + s2 * T(0.499999999999972871);
        p = p * r + s * T(1.00000000000000644);
        p = p * r + T(1.00000000000000007);
    }
    return p * (Vec<T>)((Mask)shifted << (single ? 23 : 52)) + T(1);
}

template <class T>
HF_INLINE Vec<T> sigmoid(Vec<T> x) {
    return reciprocal<T>(one_plus_exp<T, -1>(x));
}

template <class T>
HF_INLINE Vec<T> tanh(Vec<T> x) {
    return T(1) - T(2) * reciprocal<T>(one_plus_exp<T, 2>(x));
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

// A function of each lane, where speed does not matter.
template <class T, class F>
HF_INLINE Vec<T> each(Vec<T> x, F f) {
    for (long k = 0; k < lanes<T>; k++) x[k] = f(x[k]);
    return x;
}

}  // namespace holdfast::HOLDFAST_ISA
