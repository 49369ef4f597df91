// The LSTM:  i = σ(a_i),  f = σ(a_f),  g = φ(a_g),  c' = f c + i g,  o = σ(a_o),  h' = o ψ(c').
//
// Slots: i, f, g, o; i, g, o when coupled (f = 1 - i). Before forward they hold the sums a, after forward what the
// activations store, after backward the gradients of the sums.
#pragma once

#include "activations.h"
#include "unit.h"

namespace holdfast::HOLDFAST_ISA {

// One unit's slots, its activations, and the options that only the LSTM has. As in UnitOptions, a function whose
// option is off returns the value unchanged.
template <class T, bool plain, bool usual = plain>
struct LstmUnit : UnitOptions<T, plain> {
    using UnitOptions<T, plain>::options;
    using UnitOptions<T, plain>::u;
    const Functions<T, usual> fn;
    const bool coupled;
    T *slot_i, *slot_f, *slot_g, *slot_o;

    HF_INLINE LstmUnit(const Options<T>& cell, const Unit<T>& unit, T* slots)
        : UnitOptions<T, plain>{cell, unit}, fn{cell}, coupled(!plain && cell.coupled), slot_i(slots),
          slot_f(slots + lanes<T>), slot_g(slots + (coupled ? 1 : 2) * lanes<T>), slot_o(slot_g + lanes<T>) {}

    HF_INLINE long at_f() const { return slot_f - slot_i; }
    HF_INLINE long at_g() const { return slot_g - slot_i; }
    HF_INLINE long at_o() const { return slot_o - slot_i; }

    // The peephole of a gate: a + p c. Backward adds to the gradients of p and of c, which is returned.
    template <class V>
    HF_INLINE V peephole_i(V a, V c) const {
        return peephole(0, a, c);
    }
    template <class V>
    HF_INLINE V peephole_o(V a, V c) const {
        return peephole(coupled ? 1 : 2, a, c);
    }
    HF_INLINE Vec<T> peepholes_i_f_backward(Vec<T> dc, Vec<T> da_i, Vec<T> da_f, Vec<T> c) const {
        if (plain || !u.peephole) return dc;
        dc = peephole_backward(0, dc, da_i, c);
        return coupled ? dc : peephole_backward(1, dc, da_f, c);
    }
    HF_INLINE Vec<T> peephole_o_backward(Vec<T> dc, Vec<T> da, Vec<T> c) const {
        return plain || !u.peephole ? dc : peephole_backward(coupled ? 1 : 2, dc, da, c);
    }

    // f = σ(a_f + p_f c), stored in its slot; or f = 1 - i.
    template <class V, class At>
    HF_INLINE V forget(At slot, V i, V c) const {
        if (coupled) return T(1) - i;
        const auto f = fn.sigma(peephole(1, slot.load(), c));
        slot.store(f.stored);
        return f.value;
    }
    HF_INLINE Vec<T> forget_of_stored(Vec<T> i) const { return coupled ? T(1) - i : fn.sigma_of(load<T>(slot_f)); }
    // The gradient of i where f = 1 - i.
    HF_INLINE Vec<T> couple_backward(Vec<T> d_i, Vec<T> d_f) const { return coupled ? d_i - d_f : d_i; }
    HF_INLINE Vec<T> forget_backward(Vec<T> d_f) const {
        if (coupled) return d_f;
        d_f = fn.sigma_backward(load<T>(slot_f), d_f);
        store<T>(slot_f, d_f);
        return d_f;
    }

    template <class V>
    HF_INLINE V clip_c(V c) const {
        if constexpr (plain)
            return c;
        else
            return clip<T, V>(options.cell_clip, c);
    }
    HF_INLINE Vec<T> clip_c_backward(Vec<T> unclipped, Vec<T> c, Vec<T> d) const {
        if (!plain && options.cell_clip > 0) return unclipped == c ? d : Vec<T>{};
        return d;
    }
    template <class V>
    HF_INLINE V zoneout_c(V c_old, V c) const {
        if constexpr (plain)
            return c;
        else
            return zoned<T, V>(u.zoned_c, u.apart, u.n, options.zoneout_c, c_old, c);
    }
    HF_INLINE ZonedGradients<T> zoneout_c_backward(Vec<T> d) const {
        if constexpr (plain) return {Vec<T>{}, d};
        return zoned_backward<T>(u.zoned_c, u.n, options.zoneout_c, d);
    }

  private:
    template <class V>
    HF_INLINE V peephole(long k, V a, V c) const {
        if constexpr (plain)
            return a;
        else
            return u.peephole ? a + V(load_some<T>(u.peephole + k * u.peephole_stride, u.n)) * c : a;
    }
    HF_INLINE Vec<T> peephole_backward(long k, Vec<T> dc, Vec<T> da, Vec<T> c) const {
        dc = dc + da * load_some<T>(u.peephole + k * u.peephole_stride, u.n);
        T* dp = u.peephole_gradient + k * u.gradient_stride;
        store<T>(dp, load<T>(dp) + da * c);
        return dc;
    }
};

// o, and the cell state that h' is made of: c' before its zoneout.
template <class V>
struct LstmOutput {
    V o, c;
};

// The gates and the cell state. c_inout: on entry the old c, on return c' after its zoneout.
template <class T, bool plain, int R = 1, bool usual = plain>
HF_INLINE LstmOutput<Side<T, R>> lstm_state(const Options<T>& options, const Unit<T>& u, Place<T, R> slots,
                                            Place<T, R> c_inout) {
    using V = Side<T, R>;
    const LstmUnit<T, plain, usual> unit(options, u, slots.first);
    const Functions<T, usual>& fn = unit.fn;
    const auto slot_f = slots.at(unit.at_f()), slot_g = slots.at(unit.at_g()), slot_o = slots.at(unit.at_o());
    const V c = c_inout.load();
    const auto i = fn.sigma(unit.peephole_i(slots.load(), c));
    const V f = unit.forget(slot_f, i.value, c);
    const auto g = fn.phi(slot_g.load());
    const V g_kept = unit.dropout(g.value);
    const V c_new = unit.clip_c(multiply_add<T>(f, c, i.value * g_kept));
    const auto o = fn.sigma(unit.peephole_o(slot_o.load(), c_new));
    slots.store(i.stored);
    slot_g.store(g.stored);
    slot_o.store(o.stored);
    c_inout.store(unit.zoneout_c(c, c_new));
    return {o.value, c_new};
}

template <class T, bool plain, int R = 1, bool usual = plain>
HF_INLINE void lstm_forward(const Options<T>& options, const Unit<T>& u, Place<T, R> slots, Place<const T, R> h_old,
                            Place<T, R> h_out, Place<T, R> c_inout) {
    const LstmUnit<T, plain, usual> unit(options, u, slots.first);
    const auto [o, c] = lstm_state<T, plain, R, usual>(options, u, slots, c_inout);
    h_out.store(unit.zoneout_h(h_old, o * unit.fn.psi(c)));
}

// The values of forward, computed again from the slots and the old c.
template <class T, bool plain, bool usual = plain>
struct LstmGates : LstmUnit<T, plain, usual> {
    Vec<T> stored_i, stored_g, stored_o;
    Vec<T> i, f, g, o, c, c_unclipped, c_new;

    HF_INLINE LstmGates(const Options<T>& cell, const Unit<T>& unit, T* slots, const T* c_old)
        : LstmUnit<T, plain, usual>(cell, unit, slots) {
        stored_i = load<T>(this->slot_i);
        stored_g = load<T>(this->slot_g);
        stored_o = load<T>(this->slot_o);
        i = this->fn.sigma_of(stored_i);
        f = this->forget_of_stored(i);
        g = this->fn.phi_of(stored_g);
        o = this->fn.sigma_of(stored_o);
        c = load<T>(c_old);
        const Vec<T> g_kept = this->dropout(g);
        c_unclipped = multiply_add<T>(f, c, i * g_kept);
        c_new = this->clip_c(c_unclipped);
    }
};

// d_o: the gradient of a_o. d_seen: the gradient of c' through h'. dc: as for lstm_backward.
template <class T, bool plain, bool usual>
HF_INLINE void lstm_state_backward(const LstmGates<T, plain, usual>& unit, Vec<T> d_o, Vec<T> d_seen, T* dc) {
    const Functions<T, usual>& fn = unit.fn;
    const Vec<T> i = unit.i, f = unit.f, g = unit.g, c = unit.c, c_new = unit.c_new, mask = unit.dropout_mask();
    const ZonedGradients<T> d = unit.zoneout_c_backward(load<T>(dc));
    Vec<T> dc_new = unit.peephole_o_backward(d.updated + d_seen, d_o, c_new);
    dc_new = unit.clip_c_backward(unit.c_unclipped, c_new, dc_new);
    Vec<T> d_i = dc_new * g * mask, d_f = dc_new * c, d_g = dc_new * i * mask;
    Vec<T> dc_old = dc_new * f + d.old;
    d_i = fn.sigma_backward(unit.stored_i, unit.couple_backward(d_i, d_f));
    d_f = unit.forget_backward(d_f);
    d_g = fn.phi_backward(unit.stored_g, d_g);
    dc_old = unit.peepholes_i_f_backward(dc_old, d_i, d_f, c);
    store<T>(unit.slot_i, d_i);
    store<T>(unit.slot_g, d_g);
    store<T>(unit.slot_o, d_o);
    store<T>(dc, dc_old);
}

// c_old: the cell state before the step. dh and dc: on entry the gradients of h' and c'; on return the gradients of
// the old h, without the part through the products, and of the old c.
template <class T, bool plain, bool usual = plain>
HF_INLINE void lstm_backward(const Options<T>& options, const Unit<T>& u, T* slots, const T* c_old, T* dh, T* dc) {
    const LstmGates<T, plain, usual> unit(options, u, slots, c_old);
    const Functions<T, usual>& fn = unit.fn;
    const ZonedGradients<T> d = unit.zoneout_h_backward(load<T>(dh));
    const Vec<T> seen = fn.psi(unit.c_new), d_o = fn.sigma_backward(unit.stored_o, d.updated * seen);
    lstm_state_backward<T, plain, usual>(unit, d_o, fn.psi_backward(unit.c_new, seen, d.updated * unit.o), dc);
    store<T>(dh, d.old);
}

}  // namespace holdfast::HOLDFAST_ISA
