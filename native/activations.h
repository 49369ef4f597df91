// The activations, forward and backward, and the three that a cell uses: φ, σ and ψ.
//
// Forward stores one vector per activation, from which backward gets the derivative: the value y, except for ELU,
// whose argument x it stores, as many values near -a round to the same number.
#pragma once

#include "layer.h"
#include "exponentials.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
HF_INLINE Vec<T> activate(const Function<T>& f, Vec<T> x) {
    const Vec<T> zero{};
    const T a = f.a, b = f.b;
    auto softplus = [](T v) { return (v > 0 ? v : 0) + std::log1p(std::exp(v > 0 ? -v : v)); };
    switch (f.name) {
        case Activation::tanh: return tanh<T>(x);
        case Activation::sigmoid: return sigmoid<T>(x);
        case Activation::relu: return x > T(0) ? x : (x != x ? x : zero);
        case Activation::affine: return x * a + b;
        case Activation::hard_sigmoid: return min<T>(max<T>(x * a + b, zero), all<T>(1));
        case Activation::softsign: return x / (T(1) + abs<T>(x));
        case Activation::softplus: return each<T>(x, softplus);
        case Activation::elu: return x > T(0) ? x * b : each<T>(x, [a](T v) { return v > 0 ? v : a * std::expm1(v); });
        case Activation::exponential: return each<T>(x, [](T v) { return std::exp(v); });
        case Activation::leaky_relu: return x > T(0) ? x : x * a;
        case Activation::relu6: return min<T>(max<T>(x, zero), all<T>(6));
        case Activation::thresholded_relu: return x > a ? x : (x != x ? x : zero);
        case Activation::scaled_tanh: return a * tanh<T>(x * b);
    }
    return x;
}

// Whether forward stores the argument x and not the value y.
template <class T>
HF_INLINE bool stores_argument(const Function<T>& f) {
    return f.name == Activation::elu;
}

// d times the derivative of an activation, from what forward stored. At a kink the derivative is torch's. On a flat
// piece the result is 0 even where d is infinite or NaN; relu and thresholded_relu pass d on at NaN, as torch does.
template <class T>
HF_INLINE Vec<T> activate_backward(const Function<T>& f, Vec<T> stored, Vec<T> d) {
    const Vec<T> x = stored, y = stored, zero{}, one = all<T>(1);
    const T a = f.a, b = f.b;
    auto elu_slope = [a](T v) { return v > 0 ? v : a * std::exp(v); };
    switch (f.name) {
        case Activation::tanh: return d * (one - y * y);
        case Activation::sigmoid: return d * (y * (one - y));
        case Activation::relu: return y <= zero ? zero : d;
        case Activation::affine: return d * a;
        case Activation::hard_sigmoid: return (y > zero) & (y < one) ? d * a : zero;
        case Activation::softsign: return d * ((one - abs<T>(y)) * (one - abs<T>(y)));
        case Activation::softplus: return d * each<T>(y, [](T v) { return -std::expm1(-v); });
        case Activation::elu: return d * (x > zero ? all<T>(b) : each<T>(x, elu_slope));
        case Activation::exponential: return d * y;
        case Activation::leaky_relu: return y > zero ? d : d * a;
        case Activation::relu6: return (y > zero) & (y < T(6)) ? d : zero;
        case Activation::thresholded_relu: return y <= zero ? zero : d;
        case Activation::scaled_tanh: return d * (b * a * (one - (y / a) * (y / a)));
    }
    return d;
}

template <class V>
struct Activated {
    V value, stored;
};

// Whether the activations that a cell has are tanh, sigmoid and tanh, without a gate clip.
template <class T>
bool has_usual_activations(const Layer<T>& l) {
    const Options<T>& o = l.options;
    return !(o.gate_clip > 0) && o.phi.name == Activation::tanh &&
           (l.kind == Kind::rnn || o.sigma.name == Activation::sigmoid) &&
           (l.kind != Kind::lstm || o.psi.name == Activation::tanh);
}

// φ and σ of the gates' sums, each with the gate clip, and ψ of c'. With `usual` they are tanh, sigmoid and tanh,
// without a clip, at compile time.
//
// For a sum beyond ±gate_clip forward stores the same bits as for the bound itself; backward recognises these bits and
// gives the sum no gradient. NaN gets no gradient either, as in the reference's clip.
template <class T, bool usual>
struct Functions {
    const Options<T>& o;
    template <class V>
    HF_INLINE Activated<V> phi(V x) const {
        if constexpr (usual) {
            const V y = tanh<T>(x);
            return {y, y};
        } else {
            return activated(o.phi, o.phi_ends, x);
        }
    }
    template <class V>
    HF_INLINE Activated<V> sigma(V x) const {
        if constexpr (usual) {
            const V y = sigmoid<T>(x);
            return {y, y};
        } else {
            return activated(o.sigma, o.sigma_ends, x);
        }
    }
    template <class V>
    HF_INLINE V psi(V x) const {
        if constexpr (usual)
            return tanh<T>(x);
        else
            return activate<T>(o.psi, x);
    }

    // The value of φ or σ, from what forward stored.
    HF_INLINE Vec<T> phi_of(Vec<T> stored) const { return usual ? stored : value(o.phi, stored); }
    HF_INLINE Vec<T> sigma_of(Vec<T> stored) const { return usual ? stored : value(o.sigma, stored); }

    // The gradient of the argument, from the gradient d of the value.
    HF_INLINE Vec<T> phi_backward(Vec<T> stored, Vec<T> d) const {
        return usual ? d * (T(1) - stored * stored)
                     : unclipped(stored, activate_backward<T>(o.phi, stored, d), o.phi_ends);
    }
    HF_INLINE Vec<T> sigma_backward(Vec<T> stored, Vec<T> d) const {
        return usual ? d * (stored * (T(1) - stored))
                     : unclipped(stored, activate_backward<T>(o.sigma, stored, d), o.sigma_ends);
    }
    HF_INLINE Vec<T> psi_backward(Vec<T> x, Vec<T> y, Vec<T> d) const {
        return usual ? d * (T(1) - y * y) : activate_backward<T>(o.psi, stores_argument(o.psi) ? x : y, d);
    }

  private:
    HF_INLINE Activated<Vec<T>> activated(const Function<T>& f, const T* ends, Vec<T> x) const {
        if (stores_argument(f)) {
            x = clipped(x, x, ends);
            return {activate<T>(f, x), x};
        }
        const Vec<T> y = clipped(x, activate<T>(f, x), ends);
        return {y, y};
    }
    HF_INLINE static Vec<T> value(const Function<T>& f, Vec<T> stored) {
        return stores_argument(f) ? activate<T>(f, stored) : stored;
    }
    // y, but the stored ends where x is beyond the clip.
    HF_INLINE Vec<T> clipped(Vec<T> x, Vec<T> y, const T* ends) const {
        if (!(o.gate_clip > 0)) return y;
        return x > o.gate_clip ? all<T>(ends[1]) : x < -o.gate_clip ? all<T>(ends[0]) : y;
    }
    // d, but 0 where the sum was clipped or is NaN.
    HF_INLINE Vec<T> unclipped(Vec<T> stored, Vec<T> d, const T* ends) const {
        if (!(o.gate_clip > 0)) return d;
        return (stored == ends[0]) | (stored == ends[1]) | (stored != stored) ? Vec<T>{} : d;
    }
};

}  // namespace holdfast::HOLDFAST_ISA
