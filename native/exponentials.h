// exp, sigmoid and tanh. Each takes one vector, or several side by side (several.h): V is Vec<T> or Several<T, R>.
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

#include "several.h"

namespace holdfast::HOLDFAST_ISA {

// exp(x) / 2^offset = power * exp(rest) with |rest| <= ln 2 / 2 and power = 2^n / 2^offset. Adding `magic` rounds to
// the whole number n and leaves n, with the exponent's bias, in the low bits. ln 2 has two parts, so that n times the
// first is exact; in float with fused multiply-adds one part is enough.
template <class V>
struct Split {
    V rest, power;
};
template <class T, int offset, class V>
HF_INLINE Split<V> split(V x) {
    constexpr bool single = sizeof(T) == 4, fused = HOLDFAST_BYTES > 0;
    constexpr T magic = single ? T(12582912 + 127 - offset) : T(6755399441055744 + 1023 - offset);  // 1.5 * 2^23, 2^52
    constexpr T first = single ? T(0.693359375) : T(0.693145751953125);
    constexpr T second = single ? T(-2.12194440054690583e-4) : T(1.42860682030941723212e-6);
    const V shifted = x * T(1.44269504088896340736) + magic, n = shifted - magic;
    const V rest = single && fused ? x - n * T(0.693147180559945309417) : x - n * first - n * second;
    return {rest, power_in_low_bits<T>(shifted)};
}

// exp(r) - 1 for |r| <= ln 2 / 2: the polynomial of least relative error (degree 6: 1.4e-8; degree 11: 1.9e-17).
template <class T, class V>
HF_INLINE V expm1_of_rest(V r) {
    V q;
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
template <class T, class V>
HF_INLINE V sigmoid(V x) {
    constexpr bool single = sizeof(T) == 4;
    constexpr int offset = single ? 64 : 512;
    constexpr T large = single ? T(0x1p64) : T(0x1p512);
    const V bounded = at_most<T>(at_least<T>(-x, single ? T(-30) : T(-40)), single ? T(105) : T(746));
    const Split<V> e = split<T, offset>(bounded);
    return T(1) / ((e.power * expm1_of_rest<T>(e.rest) + e.power) * large + T(1));
}

// With e = exp(2 |x|): (e - 1) / (e + 1), which keeps all digits of a small x. From a result of 1/2 on, 1 - 2 / (e +
// 1), which becomes 1 where tanh does. The result has the sign of x, also for 0.
template <class T, class V>
HF_INLINE V tanh(V x) {
    const V size = abs<T>(x);
    const Split<V> e = split<T, 0>(at_most<T>(size + size, sizeof(T) == 4 ? T(20) : T(40)));
    const V less = e.power * expm1_of_rest<T>(e.rest) + (e.power - T(1));  // e - 1
    const V part = if_above<T>(less, T(2), V(all<T>(2)), less) / (less + T(2));
    return with_sign_of<T>(if_above<T>(less, T(2), T(1) - part, part), x);
}

}  // namespace holdfast::HOLDFAST_ISA
