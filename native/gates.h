// The part of a cell that works on each unit alone: activations, gates, state; forward above backward.
//
// The letters are those of the equations in src/holdfast/cells. Each function takes one vector of units of one row:
// `g` holds that vector's slots side by side, [slots * W]: on the way in what the matrix products gave, on the way out
// (forward) the activated gates, which backward turns into the gradients of what the products gave.
#pragma once

#include "layer.h"
#include "simd.h"

namespace holdfast::HOLDFAST_ISA {

// What belongs to one vector of units of one row at one step. Null: there is none of it.
template <class T>
struct Unit {
    long n;                              // units that exist, <= W; the rest is padding
    const T* peephole = nullptr;         // p_i, p_f, p_o (p_i, p_o when coupled), `peephole_stride` apart
    long peephole_stride = 0;
    T* peephole_gradient = nullptr;      // likewise, `gradient_stride` apart; added to
    long gradient_stride = 0;
    const T* candidate = nullptr;        // mask of the candidate
    const std::uint8_t* zoned_h = nullptr;  // where h keeps its old value
    const std::uint8_t* zoned_c = nullptr;
};

// How much of the old value stays: the mask where there is one (training), else its probability.
template <class T>
HF_INLINE Vec<T> zone(const std::uint8_t* mask, long n, T probability) {
    if (!mask) return all<T>(probability);
    typename Types<T>::Bytes zoned{};
    if (n >= lanes<T>)
        std::memcpy(&zoned, mask, sizeof zoned);
    else
        for (long k = 0; k < n; k++) zoned[k] = mask[k];
    return __builtin_convertvector(zoned, Vec<T>);
}

template <class T>
HF_INLINE Vec<T> activate(const Function<T>& f, Vec<T> x) {
    const Vec<T> zero{};
    const T a = f.a, b = f.b;
    switch (f.name) {
        case Activation::tanh: return tanh<T>(x);
        case Activation::sigmoid: return sigmoid<T>(x);
        case Activation::relu: return x > T(0) ? x : (x != x ? x : zero);
        case Activation::affine: return x * a + b;
        case Activation::hard_sigmoid: return min<T>(max<T>(x * a + b, zero), all<T>(1));
        case Activation::softsign: return x / (T(1) + abs<T>(x));
        case Activation::softplus: return each<T>(x, [](T v) { return (v > 0 ? v : 0) + std::log1p(std::exp(v > 0 ? -v : v)); });
        case Activation::elu: return x > T(0) ? x * b : each<T>(x, [a](T v) { return v > 0 ? v : a * std::expm1(v); });
        case Activation::exponential: return each<T>(x, [](T v) { return std::exp(v); });
        case Activation::leaky_relu: return x > T(0) ? x : x * a;
        case Activation::relu6: return min<T>(max<T>(x, zero), all<T>(6));
        case Activation::thresholded_relu: return x > a ? x : (x != x ? x : zero);
        case Activation::scaled_tanh: return a * tanh<T>(x * b);
    }
    return x;
}

// The derivative of an activation, from its value.
template <class T>
HF_INLINE Vec<T> slope(const Function<T>& f, Vec<T> y) {
    const Vec<T> zero{}, one = all<T>(1);
    const T a = f.a, b = f.b;
    switch (f.name) {
        case Activation::tanh: return one - y * y;
        case Activation::sigmoid: return y * (one - y);
        case Activation::relu: return y > zero ? one : zero;
        case Activation::affine: return all<T>(a);
        case Activation::hard_sigmoid: return (y > zero) & (y < one) ? all<T>(a) : zero;
        case Activation::softsign: return (one - abs<T>(y)) * (one - abs<T>(y));
        case Activation::softplus: return each<T>(y, [](T v) { return -std::expm1(-v); });
        case Activation::elu: return y > zero ? all<T>(b) : y + a;
        case Activation::exponential: return y;
        case Activation::leaky_relu: return y > zero ? one : all<T>(a);
        case Activation::relu6: return (y > zero) & (y < T(6)) ? one : zero;
        case Activation::thresholded_relu: return y > zero ? one : zero;
        case Activation::scaled_tanh: return b * (a - y * y / a);
    }
    return one;
}

// φ and σ of what the gates sum up, and the activation of c' on its way out, with their derivatives; the defaults are
// known when this is compiled. A sum beyond ±gate_clip has the value of that bound, bit by bit, by which backward tells
// that its derivative is 0.
template <class T, bool plain>
struct Functions {
    const Options<T>& o;
    HF_INLINE Vec<T> phi(Vec<T> x) const { return plain ? tanh<T>(x) : clipped(x, activate<T>(o.phi, x), o.phi_ends); }
    HF_INLINE Vec<T> sigma(Vec<T> x) const {
        return plain ? sigmoid<T>(x) : clipped(x, activate<T>(o.sigma, x), o.sigma_ends);
    }
    HF_INLINE Vec<T> out(Vec<T> x) const { return plain ? tanh<T>(x) : activate<T>(o.out, x); }
    HF_INLINE Vec<T> dphi(Vec<T> y) const { return plain ? T(1) - y * y : inside(y, slope<T>(o.phi, y), o.phi_ends); }
    HF_INLINE Vec<T> dsigma(Vec<T> y) const {
        return plain ? y * (T(1) - y) : inside(y, slope<T>(o.sigma, y), o.sigma_ends);
    }
    HF_INLINE Vec<T> dout(Vec<T> y) const { return plain ? T(1) - y * y : slope<T>(o.out, y); }

  private:
    HF_INLINE Vec<T> clipped(Vec<T> x, Vec<T> y, const T* ends) const {
        if (!(o.gate_clip > 0)) return y;
        return x > o.gate_clip ? all<T>(ends[1]) : x < -o.gate_clip ? all<T>(ends[0]) : y;
    }
    HF_INLINE Vec<T> inside(Vec<T> y, Vec<T> d, const T* ends) const {
        return o.gate_clip > 0 ? ((y == ends[0]) | (y == ends[1]) ? Vec<T>{} : d) : d;
    }
};

// ------------------------------------------------------------------------------------------------------------ RNN
// h' = φ(a).  Slot: h.

template <class T, bool plain>
HF_INLINE void rnn_forward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* h_out) {
    const Functions<T, plain> f{o};
    Vec<T> h = f.phi(load<T>(g));
    store<T>(g, h);
    if (!plain && (u.zoned_h || o.zoneout_h != 0)) {
        Vec<T> z = zone<T>(u.zoned_h, u.n, o.zoneout_h);
        h = h + z * (load<T>(h_old) - h);
    }
    store<T>(h_out, h);
}

// dh: the gradient of h' on the way in; on the way out what goes past the products to the old h.
template <class T, bool plain>
HF_INLINE void rnn_backward(const Options<T>& o, const Unit<T>& u, T* g, T* dh) {
    const Functions<T, plain> f{o};
    Vec<T> d = load<T>(dh), past{};
    if (!plain && (u.zoned_h || o.zoneout_h != 0)) {
        Vec<T> z = zone<T>(u.zoned_h, u.n, o.zoneout_h);
        past = d * z;
        d = d - past;
    }
    store<T>(g, d * f.dphi(load<T>(g)));
    store<T>(dh, past);
}

// ----------------------------------------------------------------------------------------------------------- LSTM
// c' = f c + i g, h' = o ψ(c').  Slots: i, f, g, o; without f when coupled (f = 1 - i).  ψ is Functions::out.

template <class T, bool plain>
HF_INLINE Vec<T> lstm_cell(const Unit<T>& u, Vec<T> i, Vec<T> f, Vec<T> g, Vec<T> c) {
    if (!plain && u.candidate) g = g * load_some<T>(u.candidate, u.n);
    return f * c + i * g;
}

// The gates and the cell state: c_inout becomes the one that the next step meets, which zoneout has changed; the one that
// goes out is returned, with o.
template <class T>
struct Outgoing {
    Vec<T> o, c;
};

template <class T, bool plain>
HF_INLINE Outgoing<T> lstm_state(const Options<T>& o, const Unit<T>& u, T* g, T* c_inout) {
    constexpr long W = lanes<T>;
    const Functions<T, plain> fn{o};
    const bool coupled = !plain && o.coupled;
    T *gi = g, *gf = g + W, *gg = g + (coupled ? 1 : 2) * W, *go = gg + W;
    Vec<T> c = load<T>(c_inout), i = load<T>(gi), f, o_ = load<T>(go);
    if (!plain && u.peephole) i = i + load_some<T>(u.peephole, u.n) * c;
    i = fn.sigma(i);
    if (coupled) {
        f = T(1) - i;
    } else {
        f = load<T>(gf);
        if (!plain && u.peephole) f = f + load_some<T>(u.peephole + u.peephole_stride, u.n) * c;
        f = fn.sigma(f);
        store<T>(gf, f);
    }
    Vec<T> gate = fn.phi(load<T>(gg));
    Vec<T> c_new = lstm_cell<T, plain>(u, i, f, gate, c);
    if (!plain && o.cell_clip > 0) c_new = min<T>(max<T>(c_new, all<T>(-o.cell_clip)), all<T>(o.cell_clip));
    if (!plain && u.peephole) o_ = o_ + load_some<T>(u.peephole + (coupled ? 1 : 2) * u.peephole_stride, u.n) * c_new;
    o_ = fn.sigma(o_);
    store<T>(gi, i), store<T>(gg, gate), store<T>(go, o_);
    Vec<T> kept = c_new;
    if (!plain && (u.zoned_c || o.zoneout_c != 0)) kept = c_new + zone<T>(u.zoned_c, u.n, o.zoneout_c) * (c - c_new);
    store<T>(c_inout, kept);
    return {o_, c_new};
}

template <class T, bool plain>
HF_INLINE void lstm_forward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* h_out, T* c_inout) {
    const Functions<T, plain> fn{o};
    const Outgoing<T> out = lstm_state<T, plain>(o, u, g, c_inout);
    Vec<T> h = out.o * fn.out(out.c);
    if (!plain && (u.zoned_h || o.zoneout_h != 0)) h = h + zone<T>(u.zoned_h, u.n, o.zoneout_h) * (load<T>(h_old) - h);
    store<T>(h_out, h);
}

// The cell state and its gates, as forward left them.
template <class T, bool plain>
struct LstmGates {
    static constexpr long W = lanes<T>;
    T *gi, *gf, *gg, *go;
    Vec<T> i, f, gate, o, c, raw, c_new;  // raw: c' before it is clipped

    HF_INLINE LstmGates(const Options<T>& options, const Unit<T>& u, T* g, const T* c_old) {
        const bool coupled = !plain && options.coupled;
        gi = g, gf = g + W, gg = g + (coupled ? 1 : 2) * W, go = gg + W;
        i = load<T>(gi), f = coupled ? T(1) - i : load<T>(gf), gate = load<T>(gg), o = load<T>(go), c = load<T>(c_old);
        raw = c_new = lstm_cell<T, plain>(u, i, f, gate, c);
        if (!plain && options.cell_clip > 0)
            c_new = min<T>(max<T>(raw, all<T>(-options.cell_clip)), all<T>(options.cell_clip));
    }
};

// d_o: the gradient of o's sum; d_out: that of the cell state which goes out. dc: as for lstm_backward.
template <class T, bool plain>
HF_INLINE void lstm_state_backward(const Options<T>& o, const Unit<T>& u, const LstmGates<T, plain>& g, Vec<T> d_o,
                                   Vec<T> d_out, T* dc) {
    const Functions<T, plain> fn{o};
    const bool coupled = !plain && o.coupled;
    const Vec<T> i = g.i, f = g.f, gate = g.gate, c = g.c, raw = g.raw, c_new = g.c_new;
    Vec<T> dc_new = load<T>(dc), c_past{};
    if (!plain && (u.zoned_c || o.zoneout_c != 0)) {
        c_past = dc_new * zone<T>(u.zoned_c, u.n, o.zoneout_c);
        dc_new = dc_new - c_past;
    }
    dc_new = dc_new + d_out;
    if (!plain && u.peephole) {
        const long k = coupled ? 1 : 2;
        dc_new = dc_new + d_o * load_some<T>(u.peephole + k * u.peephole_stride, u.n);
        T* into = u.peephole_gradient + k * u.gradient_stride;
        store<T>(into, load<T>(into) + d_o * c_new);
    }
    if (!plain && o.cell_clip > 0) dc_new = raw == c_new ? dc_new : Vec<T>{};
    Vec<T> kept = !plain && u.candidate ? load_some<T>(u.candidate, u.n) : all<T>(1);
    Vec<T> d_i = dc_new * gate * kept, d_f = dc_new * c, d_g = dc_new * i * kept;
    Vec<T> dc_old = dc_new * f + c_past;
    if (coupled) d_i = d_i - d_f;
    d_i = d_i * fn.dsigma(i), d_g = d_g * fn.dphi(gate);
    if (!coupled) d_f = d_f * fn.dsigma(f);
    if (!plain && u.peephole) {
        dc_old = dc_old + d_i * load_some<T>(u.peephole, u.n);
        store<T>(u.peephole_gradient, load<T>(u.peephole_gradient) + d_i * c);
        if (!coupled) {
            dc_old = dc_old + d_f * load_some<T>(u.peephole + u.peephole_stride, u.n);
            T* into = u.peephole_gradient + u.gradient_stride;
            store<T>(into, load<T>(into) + d_f * c);
        }
    }
    store<T>(g.gi, d_i), store<T>(g.gg, d_g), store<T>(g.go, d_o);
    if (!coupled) store<T>(g.gf, d_f);
    store<T>(dc, dc_old);
}

// c_old: the cell state before the step. dh, dc: the gradients of h', c' on the way in; on the way out those of the old
// c, and what goes past the products to the old h.
template <class T, bool plain>
HF_INLINE void lstm_backward(const Options<T>& o, const Unit<T>& u, T* g, const T* c_old, T* dh, T* dc) {
    const Functions<T, plain> fn{o};
    const LstmGates<T, plain> gates(o, u, g, c_old);
    Vec<T> d = load<T>(dh), past{};
    if (!plain && (u.zoned_h || o.zoneout_h != 0)) {
        past = d * zone<T>(u.zoned_h, u.n, o.zoneout_h);
        d = d - past;
    }
    const Vec<T> seen = fn.out(gates.c_new);
    lstm_state_backward<T, plain>(o, u, gates, d * seen * fn.dsigma(gates.o), d * gates.o * fn.dout(seen), dc);
    store<T>(dh, past);
}

// ------------------------------------------------------------------------------------------------------------ GRU
// n = φ(a_n + r u_n), h' = (1 - z) n + z h.  Slots: r, z, the input's part of n, the state's part u_n = W_hn h + b_hn;
// afterwards r, z, n, u_n, and after backward the gradients of the four.
//
// With the reset before the product, u_n = W_hn (r h) + b_hn and n = φ(a_n + u_n): r and z come first.

template <class T, bool plain>
HF_INLINE void gru_gates(const Options<T>& o, T* g) {
    const Functions<T, plain> fn{o};
    store<T>(g, fn.sigma(load<T>(g))), store<T>(g + lanes<T>, fn.sigma(load<T>(g + lanes<T>)));
}

template <class T, bool plain>
HF_INLINE void gru_state(const Options<T>& o, const Unit<T>& u, T* g, Vec<T> z, Vec<T> before, const T* h_old, T* h_out) {
    const Functions<T, plain> fn{o};
    Vec<T> n = fn.phi(before), old = load<T>(h_old);
    store<T>(g + 2 * lanes<T>, n);
    if (!plain && u.candidate) n = n * load_some<T>(u.candidate, u.n);
    Vec<T> h = n + z * (old - n);
    if (!plain && (u.zoned_h || o.zoneout_h != 0)) h = h + zone<T>(u.zoned_h, u.n, o.zoneout_h) * (old - h);
    store<T>(h_out, h);
}

template <class T, bool plain>
HF_INLINE void gru_forward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* h_out) {
    constexpr long W = lanes<T>;
    const Functions<T, plain> fn{o};
    const Vec<T> r = fn.sigma(load<T>(g)), z = fn.sigma(load<T>(g + W));
    store<T>(g, r), store<T>(g + W, z);
    gru_state<T, plain>(o, u, g, z, load<T>(g + 2 * W) + r * load<T>(g + 3 * W), h_old, h_out);
}

// dh: as for the RNN. Writes the gradient of z, and returns that of n's sum.
template <class T, bool plain>
HF_INLINE Vec<T> gru_state_backward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* dh) {
    constexpr long W = lanes<T>;
    const Functions<T, plain> fn{o};
    Vec<T> z = load<T>(g + W), n = load<T>(g + 2 * W);
    Vec<T> d = load<T>(dh), past{}, kept = !plain && u.candidate ? load_some<T>(u.candidate, u.n) : all<T>(1);
    if (!plain && (u.zoned_h || o.zoneout_h != 0)) {
        past = d * zone<T>(u.zoned_h, u.n, o.zoneout_h);
        d = d - past;
    }
    store<T>(g + W, d * (load<T>(h_old) - n * kept) * fn.dsigma(z));
    store<T>(dh, past + d * z);
    return d * (T(1) - z) * kept * fn.dphi(n);
}

template <class T, bool plain>
HF_INLINE void gru_backward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* dh) {
    constexpr long W = lanes<T>;
    const Functions<T, plain> fn{o};
    const Vec<T> r = load<T>(g), u_n = load<T>(g + 3 * W), d_n = gru_state_backward<T, plain>(o, u, g, h_old, dh);
    store<T>(g, d_n * u_n * fn.dsigma(r));
    store<T>(g + 2 * W, d_n);
    store<T>(g + 3 * W, d_n * r);
}

}  // namespace holdfast::HOLDFAST_ISA
