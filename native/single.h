// A call of one step that reads the weights where they are (single.cpp).
#pragma once

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// The most rows of such a call: with more, packing the weights pays. It pays later where they leave the nearer caches.
template <class T>
long rows_in_place(const Layer<T>& l) {
    return l.gate_count() * l.H * (l.I + l.O) >= 1 << 18 ? 128 : 64;
}

// Whether a call is of this kind.
template <class T>
bool reads_in_place(const Layer<T>& l) {
    return !paired<T> && !l.packed && l.T_ == 1 && l.B <= rows_in_place(l) && !l.lengths && !l.rounded &&
           !l.state_mask && !l.in_stages();
}

template <class T>
void single_forward(const Layer<T>& l);
template <class T>
void single_backward(const Layer<T>& l);

}  // namespace holdfast::HOLDFAST_ISA
