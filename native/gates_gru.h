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

template <class T>
struct GruSlots {
    T *r, *z, *n, *u_n;
    HF_INLINE explicit GruSlots(T* slots)
        : r(slots), z(slots + lanes<T>), n(slots + 2 * lanes<T>), u_n(slots + 3 * lanes<T>) {}
};

template <class T>
struct GruGates {
    Vec<T> r, z;
};

template <class T, bool plain>
HF_INLINE GruGates<T> gru_gates(const Options<T>& o, T* slots) {
    const Functions<T, plain> fn{o};
    const GruSlots<T> at(slots);
    const Activated<T> r = fn.sigma(load<T>(at.r));
    const Activated<T> z = fn.sigma(load<T>(at.z));
    store<T>(at.r, r.stored);
    store<T>(at.z, z.stored);
    return {r.value, z.value};
}

// sum_n: the argument of φ.
template <class T, bool plain>
HF_INLINE void gru_state(const Options<T>& o, const Unit<T>& u, T* slots, Vec<T> z, Vec<T> sum_n, const T* h_old,
                         T* h_out) {
    const Functions<T, plain> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const Activated<T> n = fn.phi(sum_n);
    const Vec<T> h = load<T>(h_old), n_kept = unit.dropout(n.value);
    store<T>(GruSlots<T>(slots).n, n.stored);
    const Vec<T> h_new = (T(1) - z) * n_kept + z * h;
    store<T>(h_out, unit.zoneout_h(h_old, h_new));
}

template <class T, bool plain>
HF_INLINE void gru_forward(const Options<T>& o, const Unit<T>& u, T* slots, const T* h_old, T* h_out) {
    const GruSlots<T> at(slots);
    const auto [r, z] = gru_gates<T, plain>(o, slots);
    gru_state<T, plain>(o, u, slots, z, load<T>(at.n) + r * load<T>(at.u_n), h_old, h_out);
}

// Writes the gradient of a_z and returns the gradient of sum_n. dh: as for rnn_backward.
template <class T, bool plain>
HF_INLINE Vec<T> gru_state_backward(const Options<T>& o, const Unit<T>& u, T* slots, const T* h_old, T* dh) {
    const Functions<T, plain> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const GruSlots<T> at(slots);
    const Vec<T> stored_z = load<T>(at.z), stored_n = load<T>(at.n);
    const Vec<T> z = fn.sigma_of(stored_z), n = fn.phi_of(stored_n), mask = unit.dropout_mask(), h = load<T>(h_old);
    const ZonedGradients<T> d = unit.zoneout_h_backward(load<T>(dh));
    store<T>(at.z, fn.sigma_backward(stored_z, d.updated * h - d.updated * (n * mask)));
    store<T>(dh, d.old + d.updated * z);
    return fn.phi_backward(stored_n, d.updated * (T(1) - z) * mask);
}

template <class T, bool plain>
HF_INLINE void gru_backward(const Options<T>& o, const Unit<T>& u, T* slots, const T* h_old, T* dh) {
    const Functions<T, plain> fn{o};
    const GruSlots<T> at(slots);
    const Vec<T> stored_r = load<T>(at.r), u_n = load<T>(at.u_n);
    const Vec<T> d_n = gru_state_backward<T, plain>(o, u, slots, h_old, dh);
    store<T>(at.r, fn.sigma_backward(stored_r, d_n * u_n));
    store<T>(at.n, d_n);
    store<T>(at.u_n, d_n * fn.sigma_of(stored_r));
}

}  // namespace holdfast::HOLDFAST_ISA
