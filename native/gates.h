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

// Where the mask says that the old value stays.
template <class T>
HF_INLINE typename Types<T>::Mask held(const std::uint8_t* mask, long n) {
    typename Types<T>::Bytes zoned{};
    if (n >= lanes<T>)
        std::memcpy(&zoned, mask, sizeof zoned);
    else
        for (long k = 0; k < n; k++) zoned[k] = mask[k];
    return __builtin_convertvector(zoned, typename Types<T>::Mask) != 0;
}

// Zoneout: the old value where the mask says so (training); without a mask, the expected value of both.
template <class T>
HF_INLINE Vec<T> zoned(const std::uint8_t* mask, long n, T probability, Vec<T> old, Vec<T> made) {
    if (mask) return held<T>(mask, n) ? old : made;
    return probability != 0 ? made + probability * (old - made) : made;
}

// The gradients of the old value and of the new one, from the gradient d of what `zoned` returned.
template <class T>
struct Parted {
    Vec<T> old, made;
};
template <class T>
HF_INLINE Parted<T> zoned_backward(const std::uint8_t* mask, long n, T probability, Vec<T> d) {
    const Vec<T> zero{};
    if (mask) {
        const auto stays = held<T>(mask, n);
        return {stays ? d : zero, stays ? zero : d};
    }
    if (probability == 0) return {zero, d};
    return {probability * d, d - probability * d};
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

// Backward needs of an activation its value y, from which its derivative follows. Of ELU it needs the argument x: many values
// near -a round to the same number.
template <class T>
HF_INLINE bool keeps_argument(const Function<T>& f) {
    return f.name == Activation::elu;
}
template <class T>
HF_INLINE Vec<T> keep(const Function<T>& f, Vec<T> x, Vec<T> y) {
    return keeps_argument(f) ? x : y;
}

// d times the derivative of an activation, from what is kept of it. At a kink the derivative is torch's. On a flat piece the
// result is 0 even where d is infinite or NaN; relu and thresholded_relu pass d on at NaN, as torch does.
template <class T>
HF_INLINE Vec<T> activate_backward(const Function<T>& f, Vec<T> kept, Vec<T> d) {
    const Vec<T> y = kept, zero{}, one = all<T>(1);
    const T a = f.a, b = f.b;
    switch (f.name) {
        case Activation::tanh: return d * (one - y * y);
        case Activation::sigmoid: return d * (y * (one - y));
        case Activation::relu: return y <= zero ? zero : d;
        case Activation::affine: return d * a;
        case Activation::hard_sigmoid: return (y > zero) & (y < one) ? d * a : zero;
        case Activation::softsign: return d * ((one - abs<T>(y)) * (one - abs<T>(y)));
        case Activation::softplus: return d * each<T>(y, [](T v) { return -std::expm1(-v); });
        case Activation::elu: return d * (kept > zero ? all<T>(b) : each<T>(kept, [a](T v) { return v > 0 ? v : a * std::exp(v); }));
        case Activation::exponential: return d * y;
        case Activation::leaky_relu: return y > zero ? d : d * a;
        case Activation::relu6: return (y > zero) & (y < T(6)) ? d : zero;
        case Activation::thresholded_relu: return y <= zero ? zero : d;
        case Activation::scaled_tanh: return d * (b * a * (one - (y / a) * (y / a)));
    }
    return d;
}

template <class T>
struct Activated {
    Vec<T> value, kept;
};

// φ and σ of what the gates sum up, and the activation of c' on its way out; the defaults are known when this is compiled.
// A sum beyond ±gate_clip keeps the same bits as the bound itself; backward recognises them and gives the sum no gradient.
// A NaN gets no gradient either, as in the reference's clip.
template <class T, bool plain>
struct Functions {
    const Options<T>& o;
    HF_INLINE Activated<T> phi(Vec<T> x) const {
        if constexpr (!plain) return activated(o.phi, o.phi_ends, x);
        const Vec<T> y = tanh<T>(x);
        return {y, y};
    }
    HF_INLINE Activated<T> sigma(Vec<T> x) const {
        if constexpr (!plain) return activated(o.sigma, o.sigma_ends, x);
        const Vec<T> y = sigmoid<T>(x);
        return {y, y};
    }
    HF_INLINE Vec<T> out(Vec<T> x) const { return plain ? tanh<T>(x) : activate<T>(o.out, x); }

    // The value, from what is kept, and the gradient d of a value, turned into that of the sum; of `out` from x and its value.
    HF_INLINE Vec<T> phi_of(Vec<T> kept) const { return plain ? kept : value(o.phi, kept); }
    HF_INLINE Vec<T> sigma_of(Vec<T> kept) const { return plain ? kept : value(o.sigma, kept); }
    HF_INLINE Vec<T> phi_backward(Vec<T> kept, Vec<T> d) const {
        return plain ? d * (T(1) - kept * kept) : inside(kept, activate_backward<T>(o.phi, kept, d), o.phi_ends);
    }
    HF_INLINE Vec<T> sigma_backward(Vec<T> kept, Vec<T> d) const {
        return plain ? d * (kept * (T(1) - kept)) : inside(kept, activate_backward<T>(o.sigma, kept, d), o.sigma_ends);
    }
    HF_INLINE Vec<T> out_backward(Vec<T> x, Vec<T> y, Vec<T> d) const {
        return plain ? d * (T(1) - y * y) : activate_backward<T>(o.out, keep<T>(o.out, x, y), d);
    }

  private:
    HF_INLINE Activated<T> activated(const Function<T>& f, const T* ends, Vec<T> x) const {
        if (keeps_argument(f)) {
            x = clipped(x, x, ends);
            return {activate<T>(f, x), x};
        }
        const Vec<T> y = clipped(x, activate<T>(f, x), ends);
        return {y, y};
    }
    HF_INLINE static Vec<T> value(const Function<T>& f, Vec<T> kept) {
        return keeps_argument(f) ? activate<T>(f, kept) : kept;
    }
    HF_INLINE Vec<T> clipped(Vec<T> x, Vec<T> y, const T* ends) const {
        if (!(o.gate_clip > 0)) return y;
        return x > o.gate_clip ? all<T>(ends[1]) : x < -o.gate_clip ? all<T>(ends[0]) : y;
    }
    HF_INLINE Vec<T> inside(Vec<T> kept, Vec<T> d, const T* ends) const {
        if (!(o.gate_clip > 0)) return d;
        return (kept == ends[0]) | (kept == ends[1]) | (kept != kept) ? Vec<T>{} : d;
    }
};

// ------------------------------------------------------------------------------------------------------------ RNN
// h' = φ(a).  Slot: h.

template <class T, bool plain>
HF_INLINE void rnn_forward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* h_out) {
    const Functions<T, plain> f{o};
    const Activated<T> h = f.phi(load<T>(g));
    store<T>(g, h.kept);
    store<T>(h_out, plain ? h.value : zoned<T>(u.zoned_h, u.n, o.zoneout_h, load<T>(h_old), h.value));
}

// dh: the gradient of h' on the way in; on the way out what goes past the products to the old h.
template <class T, bool plain>
HF_INLINE void rnn_backward(const Options<T>& o, const Unit<T>& u, T* g, T* dh) {
    const Functions<T, plain> f{o};
    Parted<T> d{Vec<T>{}, load<T>(dh)};
    if (!plain) d = zoned_backward<T>(u.zoned_h, u.n, o.zoneout_h, d.made);
    store<T>(g, f.phi_backward(load<T>(g), d.made));
    store<T>(dh, d.old);
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
    Vec<T> c = load<T>(c_inout), sum_i = load<T>(gi), f, sum_o = load<T>(go);
    if (!plain && u.peephole) sum_i = sum_i + load_some<T>(u.peephole, u.n) * c;
    const Activated<T> i = fn.sigma(sum_i);
    if (coupled) {
        f = T(1) - i.value;
    } else {
        Vec<T> sum_f = load<T>(gf);
        if (!plain && u.peephole) sum_f = sum_f + load_some<T>(u.peephole + u.peephole_stride, u.n) * c;
        const Activated<T> forget = fn.sigma(sum_f);
        f = forget.value;
        store<T>(gf, forget.kept);
    }
    const Activated<T> gate = fn.phi(load<T>(gg));
    Vec<T> c_new = lstm_cell<T, plain>(u, i.value, f, gate.value, c);
    if (!plain && o.cell_clip > 0) c_new = min<T>(max<T>(c_new, all<T>(-o.cell_clip)), all<T>(o.cell_clip));
    if (!plain && u.peephole) sum_o = sum_o + load_some<T>(u.peephole + (coupled ? 1 : 2) * u.peephole_stride, u.n) * c_new;
    const Activated<T> out = fn.sigma(sum_o);
    store<T>(gi, i.kept), store<T>(gg, gate.kept), store<T>(go, out.kept);
    store<T>(c_inout, plain ? c_new : zoned<T>(u.zoned_c, u.n, o.zoneout_c, c, c_new));
    return {out.value, c_new};
}

template <class T, bool plain>
HF_INLINE void lstm_forward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* h_out, T* c_inout) {
    const Functions<T, plain> fn{o};
    const Outgoing<T> out = lstm_state<T, plain>(o, u, g, c_inout);
    const Vec<T> h = out.o * fn.out(out.c);
    store<T>(h_out, plain ? h : zoned<T>(u.zoned_h, u.n, o.zoneout_h, load<T>(h_old), h));
}

// The cell state and its gates, as forward left them.
template <class T, bool plain>
struct LstmGates {
    static constexpr long W = lanes<T>;
    T *gi, *gf, *gg, *go;
    Vec<T> kept_i, kept_f, kept_g, kept_o;
    Vec<T> i, f, gate, o, c, raw, c_new;  // raw: c' before it is clipped

    HF_INLINE LstmGates(const Options<T>& options, const Unit<T>& u, T* g, const T* c_old) {
        const bool coupled = !plain && options.coupled;
        gi = g, gf = g + W, gg = g + (coupled ? 1 : 2) * W, go = gg + W;
        const Functions<T, plain> fn{options};
        kept_i = load<T>(gi), kept_f = coupled ? Vec<T>{} : load<T>(gf), kept_g = load<T>(gg), kept_o = load<T>(go);
        i = fn.sigma_of(kept_i), f = coupled ? T(1) - i : fn.sigma_of(kept_f), gate = fn.phi_of(kept_g), o = fn.sigma_of(kept_o);
        c = load<T>(c_old);
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
    Parted<T> d{Vec<T>{}, load<T>(dc)};
    if (!plain) d = zoned_backward<T>(u.zoned_c, u.n, o.zoneout_c, d.made);
    Vec<T> dc_new = d.made + d_out;
    if (!plain && u.peephole) {
        const long k = coupled ? 1 : 2;
        dc_new = dc_new + d_o * load_some<T>(u.peephole + k * u.peephole_stride, u.n);
        T* into = u.peephole_gradient + k * u.gradient_stride;
        store<T>(into, load<T>(into) + d_o * c_new);
    }
    if (!plain && o.cell_clip > 0) dc_new = raw == c_new ? dc_new : Vec<T>{};
    Vec<T> kept = !plain && u.candidate ? load_some<T>(u.candidate, u.n) : all<T>(1);
    Vec<T> d_i = dc_new * gate * kept, d_f = dc_new * c, d_g = dc_new * i * kept;
    Vec<T> dc_old = dc_new * f + d.old;
    if (coupled) d_i = d_i - d_f;
    d_i = fn.sigma_backward(g.kept_i, d_i), d_g = fn.phi_backward(g.kept_g, d_g);
    if (!coupled) d_f = fn.sigma_backward(g.kept_f, d_f);
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
    Parted<T> d{Vec<T>{}, load<T>(dh)};
    if (!plain) d = zoned_backward<T>(u.zoned_h, u.n, o.zoneout_h, d.made);
    const Vec<T> seen = fn.out(gates.c_new), d_o = fn.sigma_backward(gates.kept_o, d.made * seen);
    lstm_state_backward<T, plain>(o, u, gates, d_o, fn.out_backward(gates.c_new, seen, d.made * gates.o), dc);
    store<T>(dh, d.old);
}

// ------------------------------------------------------------------------------------------------------------ GRU
// n = φ(a_n + r u_n), h' = (1 - z) n + z h.  Slots: r, z, the input's part of n, the state's part u_n = W_hn h + b_hn;
// afterwards r, z, n (what is kept of them), u_n, and after backward the gradients of the four.
//
// With the reset before the product, u_n = W_hn (r h) + b_hn and n = φ(a_n + u_n): r and z come first.

template <class T, bool plain>
HF_INLINE void gru_gates(const Options<T>& o, T* g) {
    const Functions<T, plain> fn{o};
    store<T>(g, fn.sigma(load<T>(g)).kept), store<T>(g + lanes<T>, fn.sigma(load<T>(g + lanes<T>)).kept);
}

template <class T, bool plain>
HF_INLINE void gru_state(const Options<T>& o, const Unit<T>& u, T* g, Vec<T> z, Vec<T> before, const T* h_old, T* h_out) {
    const Functions<T, plain> fn{o};
    const Activated<T> made = fn.phi(before);
    Vec<T> n = made.value, old = load<T>(h_old);
    store<T>(g + 2 * lanes<T>, made.kept);
    if (!plain && u.candidate) n = n * load_some<T>(u.candidate, u.n);
    const Vec<T> h = (T(1) - z) * n + z * old;
    store<T>(h_out, plain ? h : zoned<T>(u.zoned_h, u.n, o.zoneout_h, old, h));
}

template <class T, bool plain>
HF_INLINE void gru_forward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* h_out) {
    constexpr long W = lanes<T>;
    const Functions<T, plain> fn{o};
    const Activated<T> r = fn.sigma(load<T>(g)), z = fn.sigma(load<T>(g + W));
    store<T>(g, r.kept), store<T>(g + W, z.kept);
    gru_state<T, plain>(o, u, g, z.value, load<T>(g + 2 * W) + r.value * load<T>(g + 3 * W), h_old, h_out);
}

// dh: as for the RNN. Writes the gradient of z, and returns that of n's sum.
template <class T, bool plain>
HF_INLINE Vec<T> gru_state_backward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* dh) {
    constexpr long W = lanes<T>;
    const Functions<T, plain> fn{o};
    const Vec<T> kept_z = load<T>(g + W), kept_n = load<T>(g + 2 * W), z = fn.sigma_of(kept_z), n = fn.phi_of(kept_n);
    const Vec<T> mask = !plain && u.candidate ? load_some<T>(u.candidate, u.n) : all<T>(1);
    Parted<T> d{Vec<T>{}, load<T>(dh)};
    if (!plain) d = zoned_backward<T>(u.zoned_h, u.n, o.zoneout_h, d.made);
    store<T>(g + W, fn.sigma_backward(kept_z, d.made * load<T>(h_old) - d.made * (n * mask)));
    store<T>(dh, d.old + d.made * z);
    return fn.phi_backward(kept_n, d.made * (T(1) - z) * mask);
}

template <class T, bool plain>
HF_INLINE void gru_backward(const Options<T>& o, const Unit<T>& u, T* g, const T* h_old, T* dh) {
    constexpr long W = lanes<T>;
    const Functions<T, plain> fn{o};
    const Vec<T> r = load<T>(g), u_n = load<T>(g + 3 * W), d_n = gru_state_backward<T, plain>(o, u, g, h_old, dh);
    store<T>(g, fn.sigma_backward(r, d_n * u_n));
    store<T>(g + 2 * W, d_n);
    store<T>(g + 3 * W, d_n * fn.sigma_of(r));
}

// Sets the lanes beyond the first n, which are no units, to 0 in each of `slots` vectors: they may be infinite or NaN, and a
// product that reads them with weights of 0 would become NaN.
template <class T>
HF_INLINE void clear_padding(T* g, long slots, long n) {
    for (long k = 0; k < slots && n < lanes<T>; k++) store<T>(g + k * lanes<T>, only<T>(load<T>(g + k * lanes<T>), n));
}

}  // namespace holdfast::HOLDFAST_ISA
