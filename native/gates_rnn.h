// The RNN:  h' = φ(a).  Slot: h.
#pragma once

#include "activations.h"
#include "unit.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, bool plain>
HF_INLINE void rnn_forward(const Options<T>& o, const Unit<T>& u, T* slot, const T* h_old, T* h_out) {
    const Functions<T, plain> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const Activated<T> h = fn.phi(load<T>(slot));
    store<T>(slot, h.stored);
    store<T>(h_out, unit.zoneout_h(h_old, h.value));
}

// dh: on entry the gradient of h'; on return the gradient of the old h, without the part through the products.
template <class T, bool plain>
HF_INLINE void rnn_backward(const Options<T>& o, const Unit<T>& u, T* slot, T* dh) {
    const Functions<T, plain> fn{o};
    const UnitOptions<T, plain> unit{o, u};
    const ZonedGradients<T> d = unit.zoneout_h_backward(load<T>(dh));
    store<T>(slot, fn.phi_backward(load<T>(slot), d.updated));
    store<T>(dh, d.old);
}

}  // namespace holdfast::HOLDFAST_ISA
