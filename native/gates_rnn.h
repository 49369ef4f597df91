// The RNN:  h' = φ(a).  Slot: h.
#pragma once

#include "activations.h"
#include "unit.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, bool plain, int R = 1, bool usual = plain>
HF_INLINE void rnn_forward(const Options<T>& o, const Unit<T>& u, Place<T, R> slot, Place<const T, R> h_old,
                           Place<T, R> h_out) {
    const Functions<T, usual> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const auto h = fn.phi(slot.load());
    slot.store(h.stored);
    h_out.store(unit.zoneout_h(h_old, h.value));
}

// dh: on entry the gradient of h'; on return the gradient of the old h, without the part through the products.
template <class T, bool plain, bool usual = plain>
HF_INLINE void rnn_backward(const Options<T>& o, const Unit<T>& u, T* slot, T* dh) {
    const Functions<T, usual> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const ZonedGradients<T> d = unit.zoneout_h_backward(load<T>(dh));
    store<T>(slot, fn.phi_backward(load<T>(slot), d.updated));
    store<T>(dh, d.old);
}

}  // namespace holdfast::HOLDFAST_ISA
