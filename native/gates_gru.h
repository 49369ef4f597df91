// The GRU:  r = σ(a_r),  z = σ(a_z),  n = φ(a_n + r u_n),  h' = (1 - z) n + z h.
//
// Slots: r, z, n, u_n. Before forward they hold the sums a_r, a_z, a_n and u_n = W_hn h + b_hn; after forward what the
// activations store, and u_n; after backward the gradients of the four sums.
//
// With the reset before the product (options.reset_before), u_n = W_hn (r h) + b_hn and n = φ(a_n + u_n). Then r and z
// are computed first (gru_gates), and h' after the candidate's product (gru_state).
#pragma once

#include "activations.h"
#include "unit.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, int R = 1>
struct GruSlots {
    Place<T, R> r, z, n, u_n;
    HF_INLINE explicit GruSlots(Place<T, R> slots)
        : r(slots), z(slots.at(lanes<T>)), n(slots.at(2 * lanes<T>)), u_n(slots.at(3 * lanes<T>)) {}
};

template <class V>
struct GruGates {
    V r, z;
};

template <class T, bool plain, int R = 1, bool usual = plain>
HF_INLINE GruGates<Side<T, R>> gru_gates(const Options<T>& o, Place<T, R> slots) {
    const Functions<T, usual> fn{o};
    const GruSlots<T, R> at(slots);
    const auto r = fn.sigma(at.r.load()), z = fn.sigma(at.z.load());
    at.r.store(r.stored);
    at.z.store(z.stored);
    return {r.value, z.value};
}

// sum_n: the argument of φ.
template <class T, bool plain, int R = 1, bool usual = plain>
HF_INLINE void gru_state(const Options<T>& o, const Unit<T>& u, Place<T, R> slots, Side<T, R> z, Side<T, R> sum_n,
                         Place<const T, R> h_old, Place<T, R> h_out) {
    using V = Side<T, R>;
    const Functions<T, usual> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const auto n = fn.phi(sum_n);
    const V h = h_old.load(), n_kept = unit.dropout(n.value);
    GruSlots<T, R>(slots).n.store(n.stored);
    const V h_new = multiply_add<T>(T(1) - z, n_kept, z * h);
    h_out.store(unit.zoneout_h(h_old, h_new));
}

template <class T, bool plain, int R = 1, bool usual = plain>
HF_INLINE void gru_forward(const Options<T>& o, const Unit<T>& u, Place<T, R> slots, Place<const T, R> h_old,
                           Place<T, R> h_out) {
    const GruSlots<T, R> at(slots);
    const auto [r, z] = gru_gates<T, plain, R, usual>(o, slots);
    gru_state<T, plain, R, usual>(o, u, slots, z, at.n.load() + r * at.u_n.load(), h_old, h_out);
}

// Writes the gradient of a_z and returns the gradient of sum_n. dh: as for rnn_backward.
template <class T, bool plain, bool usual = plain>
HF_INLINE Vec<T> gru_state_backward(const Options<T>& o, const Unit<T>& u, T* slots, const T* h_old, T* dh) {
    const Functions<T, usual> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const GruSlots<T> at(slots);
    const Vec<T> stored_z = at.z.load(), stored_n = at.n.load();
    const Vec<T> z = fn.sigma_of(stored_z), n = fn.phi_of(stored_n), mask = unit.dropout_mask(), h = load<T>(h_old);
    const ZonedGradients<T> d = unit.zoneout_h_backward(load<T>(dh));
    at.z.store(fn.sigma_backward(stored_z, d.updated * h - d.updated * (n * mask)));
    store<T>(dh, d.old + d.updated * z);
    return fn.phi_backward(stored_n, d.updated * (T(1) - z) * mask);
}

template <class T, bool plain, bool usual = plain>
HF_INLINE void gru_backward(const Options<T>& o, const Unit<T>& u, T* slots, const T* h_old, T* dh) {
    const Functions<T, usual> fn{o};
    const GruSlots<T> at(slots);
    const Vec<T> stored_r = at.r.load(), u_n = at.u_n.load();
    const Vec<T> d_n = gru_state_backward<T, plain, usual>(o, u, slots, h_old, dh);
    at.r.store(fn.sigma_backward(stored_r, d_n * u_n));
    at.n.store(d_n);
    at.u_n.store(d_n * fn.sigma_of(stored_r));
}

}  // namespace holdfast::HOLDFAST_ISA
