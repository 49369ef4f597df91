// The vector type of one instruction set, and the functions that cells need on it.
//
// This header is compiled once per instruction set (see kernels.cpp). HOLDFAST_BYTES is the width of a vector. Each
// set has a namespace of its own, so code of one set is never linked into another. Arithmetic on Vec is the compiler's
// own (GCC and Clang vector extensions); a * b + c becomes a fused multiply-add.
//
// The approximations and their largest errors over all arguments, absolute and relative to the exact value (a sweep
// asserts them for every instruction set):
//                 absolute                   relative
//     sigmoid     float 1e-7  double 2.5e-16   float 3.6e-7  double 5.5e-16
//     tanh        float 1e-7  double 2.5e-16   float 1.9e-7  double 5.2e-16
// Where exp(-x) overflows, below x = -88.7 in float and -709.7 in double, sigmoid is 0, as in torch. Where 1 or -1 is
// the number nearest to the exact value, the result is that number, so 1 - y * y and y * (1 - y) are 0. NaN stays NaN.
// tanh keeps the sign of 0 and returns denormals unchanged.
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

// The first n lanes of v; the others become 0, also where they are NaN.
template <class T>
HF_INLINE Vec<T> only(Vec<T> v, long n) {
    return n >= lanes<T> ? v : (Vec<T>)((typename Types<T>::Mask)v & first_lanes<T>(n));
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
// The same for only the first n values: load_some sets the other lanes to 0, store_some does not write them.
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
// If one argument is NaN, the result is the first argument. So pass the value first and the bound second: NaN stays
// NaN.
template <class T>
HF_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
    return b < a ? b : a;
}
template <class T>
HF_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
    return b > a ? b : a;
}
template <class T>
HF_INLINE typename Types<T>::Mask sign_bit() {
    return (typename Types<T>::Mask)all<T>(T(-0.0));
}
template <class T>
HF_INLINE Vec<T> abs(Vec<T> a) {
    return (Vec<T>)((typename Types<T>::Mask)a & ~sign_bit<T>());
}

// x bounded by `high` from above, or by `low` from below. NaN stays NaN.
template <class T>
HF_INLINE Vec<T> at_most(Vec<T> x, T high) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_min_ps(_mm512_set1_ps(high), (__m512)x);
    else
        return (Vec<T>)_mm512_min_pd(_mm512_set1_pd(high), (__m512d)x);
#elif defined(__AVX2__)
    if constexpr (Types<T>::bytes == 32 && sizeof(T) == 4)
        return (Vec<T>)_mm256_min_ps(_mm256_set1_ps(high), (__m256)x);
    else if constexpr (Types<T>::bytes == 32)
        return (Vec<T>)_mm256_min_pd(_mm256_set1_pd(high), (__m256d)x);
#endif
    return x > high ? all<T>(high) : x;
}
template <class T>
HF_INLINE Vec<T> at_least(Vec<T> x, T low) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_max_ps(_mm512_set1_ps(low), (__m512)x);
    else
        return (Vec<T>)_mm512_max_pd(_mm512_set1_pd(low), (__m512d)x);
#elif defined(__AVX2__)
    if constexpr (Types<T>::bytes == 32 && sizeof(T) == 4)
        return (Vec<T>)_mm256_max_ps(_mm256_set1_ps(low), (__m256)x);
    else if constexpr (Types<T>::bytes == 32)
        return (Vec<T>)_mm256_max_pd(_mm256_set1_pd(low), (__m256d)x);
#endif
    return x < low ? all<T>(low) : x;
}

// exp(x) / 2^offset = power * exp(rest) with |rest| <= ln 2 / 2 and power = 2^n / 2^offset. Adding `magic` rounds to
// the whole number n and leaves n, with the exponent's bias, in the low bits. ln 2 has two parts, so that n times the
// first is exact; in float with fused multiply-adds one part is enough.
template <class T>
struct Split {
    Vec<T> rest, power;
};
template <class T, int offset>
HF_INLINE Split<T> split(Vec<T> x) {
    constexpr bool single = sizeof(T) == 4, fused = HOLDFAST_BYTES > 0;
    constexpr T magic = single ? T(12582912 + 127 - offset) : T(6755399441055744 + 1023 - offset);  // 1.5 * 2^23, 2^52
    constexpr T first = single ? T(0.693359375) : T(0.693145751953125);
    constexpr T second = single ? T(-2.12194440054690583e-4) : T(1.42860682030941723212e-6);
    const Vec<T> shifted = x * T(1.44269504088896340736) + magic, n = shifted - magic;
    const Vec<T> rest = single && fused ? x - n * T(0.693147180559945309417) : x - n * first - n * second;
    return {rest, (Vec<T>)((typename Types<T>::Mask)shifted << (single ? 23 : 52))};
}

// exp(r) - 1 for |r| <= ln 2 / 2: the polynomial of least relative error (degree 6: 1.4e-8; degree 11: 1.9e-17).
template <class T>
HF_INLINE Vec<T> expm1_of_rest(Vec<T> r) {
    Vec<T> q;
    if constexpr (sizeof(T) == 4) {
        q = r * T(0.00138825189658304494) + T(0.00836654717168424847);
        q = q * r + T(0.0416672006667141673);
        q = q * r + T(0.166665434238582096);
        q = q * r + T(0.499999981498036186);
    } else {
        q = r * T(2.50537813373371331e-8) + T(2.76260927195637813e-7);
        q = q * r + T(2.75574076693198066e-6);
        q = q * r + T(0.000024801505142976075);
        q = q * r + T(0.000198412697187282498);
        q = q * r + T(0.00138888889316668964);
        q = q * r + T(0.00833333333338972590);
        q = q * r + T(0.0416666666665764684);
        q = q * r + T(0.166666666666665890);
        q = q * r + T(0.5);
    }
    return (r * r) * q + r;
}

// 1 / (1 + exp(-x)), as torch computes it: where exp(-x) overflows, the result is 0. exp(-x) is computed as
// exp(-x) / 2^offset, so that its exponent does not overflow too early. Above x = 30 (40 in double), exp(-x) no longer
// changes 1 + exp(-x), so it needs no smaller value.
template <class T>
HF_INLINE Vec<T> sigmoid(Vec<T> x) {
    constexpr bool single = sizeof(T) == 4;
    constexpr int offset = single ? 64 : 512;
    constexpr T large = single ? T(0x1p64) : T(0x1p512);
    const Vec<T> bounded = at_most<T>(at_least<T>(-x, single ? T(-30) : T(-40)), single ? T(105) : T(746));
    const Split<T> e = split<T, offset>(bounded);
    return T(1) / ((e.power * expm1_of_rest<T>(e.rest) + e.power) * large + T(1));
}

// With e = exp(2 |x|): (e - 1) / (e + 1), which keeps all digits of a small x. From a result of 1/2 on, 1 - 2 / (e +
// 1), which becomes 1 where tanh does. The result has the sign of x, also for 0.
template <class T>
HF_INLINE Vec<T> tanh(Vec<T> x) {
    using Mask = typename Types<T>::Mask;
    const Vec<T> size = abs<T>(x);
    const Split<T> e = split<T, 0>(at_most<T>(size + size, sizeof(T) == 4 ? T(20) : T(40)));
    const Vec<T> less = e.power * expm1_of_rest<T>(e.rest) + (e.power - T(1));  // e - 1
    const Mask large = less > T(2);
    const Vec<T> part = (large ? all<T>(2) : less) / (less + T(2)), y = large ? T(1) - part : part;
    return (Vec<T>)((Mask)y | ((Mask)x & sign_bit<T>()));
}

// One step of a transposition: in rows a and b, `size` rows apart, swaps the blocks of `size` lanes beside the
// diagonal.
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

// Calls f for each lane; for functions that need not be fast.
template <class T, class F>
HF_INLINE Vec<T> each(Vec<T> x, F f) {
    for (long k = 0; k < lanes<T>; k++) x[k] = f(x[k]);
    return x;
}

}  // namespace holdfast::HOLDFAST_ISA
