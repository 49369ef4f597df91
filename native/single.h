// A call of one step that reads the weights where they are (single.cpp).
#pragma once

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// The most rows of such a call: with more, packing the weights pays. For backward they would be packed twice more, so
// it pays later in training. For inference they stay packed from call to call, so packed ones that fill the caches pay
// sooner.
template <class T>
long rows_in_place(const Layer<T>& l) {
    const long weights = l.gate_count() * l.H * (l.I + l.O);
    if (l.gates) return weights < 1 << 20 ? 256 : 128;
    return weights < 1 << 18 ? 64 : weights < 1 << 20 ? 128 : weights <= 1 << 21 ? 64 : 16;
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
