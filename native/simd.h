// The vector type of one instruction set, and the functions that cells need on it.
//
// This header is compiled once per instruction set (see kernels.cpp). HOLDFAST_BYTES is the width of a vector. Each
// set has a namespace of its own, so code of one set is never linked into another. Arithmetic on Vec is the compiler's
// own (GCC and Clang vector extensions); a * b + c becomes a fused multiply-add.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
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

template <class T>
HF_INLINE Vec<T> square_root(Vec<T> x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_sqrt_ps((__m512)x);
    else
        return (Vec<T>)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX2__)
    if constexpr (Types<T>::bytes == 32 && sizeof(T) == 4)
        return (Vec<T>)_mm256_sqrt_ps((__m256)x);
    else if constexpr (Types<T>::bytes == 32)
        return (Vec<T>)_mm256_sqrt_pd((__m256d)x);
#endif
    for (long k = 0; k < lanes<T>; k++) x[k] = std::sqrt(x[k]);
    return x;
}

// a * b + c, fused where the processor can. Where c is a product too, this names the product that is fused; otherwise
// the compiler chooses one, and not always the same, so that equal rows would get different bits.
template <class T>
HF_INLINE Vec<T> multiply_add(Vec<T> a, Vec<T> b, Vec<T> c) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
    else
        return (Vec<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    if constexpr (Types<T>::bytes == 32 && sizeof(T) == 4)
        return (Vec<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
    else if constexpr (Types<T>::bytes == 32)
        return (Vec<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__ARM_NEON)
    if constexpr (Types<T>::bytes == 16 && sizeof(T) == 4)
        return (Vec<T>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    else if constexpr (Types<T>::bytes == 16)
        return (Vec<T>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#endif
    return a * b + c;
}

// |a| with the sign of x, also where x is 0.
template <class T>
HF_INLINE Vec<T> with_sign_of(Vec<T> a, Vec<T> x) {
    return (Vec<T>)((typename Types<T>::Mask)a | ((typename Types<T>::Mask)x & sign_bit<T>()));
}
// `then` where x > bound, else `otherwise`.
template <class T>
HF_INLINE Vec<T> if_above(Vec<T> x, T bound, Vec<T> then, Vec<T> otherwise) {
    return x > bound ? then : otherwise;
}
// 2^n where the low bits of x are n with the exponent's bias.
template <class T>
HF_INLINE Vec<T> power_in_low_bits(Vec<T> x) {
    return (Vec<T>)((typename Types<T>::Mask)x << (sizeof(T) == 4 ? 23 : 52));
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
