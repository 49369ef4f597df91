// Several vectors that are computed side by side: each operation is done for all of them before the next one. So the
// processor has several independent chains of operations, where one vector alone would wait for each result.
#pragma once

#include "simd.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, int R>
struct Several {
    Vec<T> v[R];

    Several() = default;
    HF_INLINE Several(T x) : Several(all<T>(x)) {}
    HF_INLINE Several(Vec<T> x) {
#pragma GCC unroll 8
        for (int k = 0; k < R; k++) v[k] = x;
    }
    // f of each vector.
    template <class F, class... More>
    HF_INLINE static Several each(F f, const More&... x) {
        Several y;
#pragma GCC unroll 8
        for (int k = 0; k < R; k++) y.v[k] = f(x.v[k]...);
        return y;
    }
    HF_INLINE friend Several operator-(Several a) {
        return each([](Vec<T> x) { return -x; }, a);
    }
    HF_INLINE friend Several operator+(Several a, Several b) {
        return each([](Vec<T> x, Vec<T> y) { return x + y; }, a, b);
    }
    HF_INLINE friend Several operator-(Several a, Several b) {
        return each([](Vec<T> x, Vec<T> y) { return x - y; }, a, b);
    }
    HF_INLINE friend Several operator*(Several a, Several b) {
        return each([](Vec<T> x, Vec<T> y) { return x * y; }, a, b);
    }
    HF_INLINE friend Several operator/(Several a, Several b) {
        return each([](Vec<T> x, Vec<T> y) { return x / y; }, a, b);
    }
};

template <class T, int R>
HF_INLINE Several<T, R> abs(Several<T, R> a) {
    return a.each([](Vec<T> x) { return abs<T>(x); }, a);
}
template <class T, int R>
HF_INLINE Several<T, R> at_most(Several<T, R> a, T high) {
    return a.each([&](Vec<T> x) { return at_most<T>(x, high); }, a);
}
template <class T, int R>
HF_INLINE Several<T, R> at_least(Several<T, R> a, T low) {
    return a.each([&](Vec<T> x) { return at_least<T>(x, low); }, a);
}
template <class T, int R>
HF_INLINE Several<T, R> multiply_add(Several<T, R> a, Several<T, R> b, Several<T, R> c) {
    return a.each([](Vec<T> x, Vec<T> y, Vec<T> z) { return multiply_add<T>(x, y, z); }, a, b, c);
}
template <class T, int R>
HF_INLINE Several<T, R> with_sign_of(Several<T, R> size, Several<T, R> a) {
    return a.each([](Vec<T> x, Vec<T> y) { return with_sign_of<T>(x, y); }, size, a);
}
template <class T, int R>
HF_INLINE Several<T, R> if_above(Several<T, R> a, T bound, Several<T, R> then, Several<T, R> otherwise) {
    return a.each([&](Vec<T> x, Vec<T> y, Vec<T> z) { return if_above<T>(x, bound, y, z); }, a, then, otherwise);
}
template <class T, int R>
HF_INLINE Several<T, R> power_in_low_bits(Several<T, R> a) {
    return a.each([](Vec<T> x) { return power_in_low_bits<T>(x); }, a);
}

// One vector, or R side by side.
template <class T, int R>
using Side = std::conditional_t<R == 1, Vec<T>, Several<T, R>>;

// f(0), ... f(R - 1) side by side; V is one vector or several. And the vector at place k of V.
template <class T, class F>
HF_INLINE void fill(Vec<T>& x, F f) {
    x = f(0);
}
template <class T, int R, class F>
HF_INLINE void fill(Several<T, R>& x, F f) {
#pragma GCC unroll 8
    for (int k = 0; k < R; k++) x.v[k] = f(k);
}
template <class T, class V, class F>
HF_INLINE V side_by_side(F f) {
    V x;
    fill<T>(x, f);
    return x;
}
template <class T>
HF_INLINE Vec<T> at_place(Vec<T> x, int) {
    return x;
}
template <class T, int R>
HF_INLINE Vec<T> at_place(Several<T, R> x, int k) {
    return x.v[k];
}

// A place of R vectors in memory, `apart` values from one to the next.
template <class T, int R>
struct Place {
    T* first;
    long apart;

    HF_INLINE Place(T* first, long apart = 0) : first(first), apart(apart) {}
    HF_INLINE Place at(long values) const { return {first + values, apart}; }
    HF_INLINE Side<std::remove_const_t<T>, R> load() const {
        using Value = std::remove_const_t<T>;
        if constexpr (R == 1)
            return HOLDFAST_ISA::load<Value>(first);
        else {
            Several<Value, R> x;
#pragma GCC unroll 8
            for (int k = 0; k < R; k++) x.v[k] = HOLDFAST_ISA::load<Value>(first + k * apart);
            return x;
        }
    }
    HF_INLINE void store(Side<T, R> x) const {
        if constexpr (R == 1)
            HOLDFAST_ISA::store<T>(first, x);
        else {
#pragma GCC unroll 8
            for (int k = 0; k < R; k++) HOLDFAST_ISA::store<T>(first + k * apart, x.v[k]);
        }
    }
};

}  // namespace holdfast::HOLDFAST_ISA
