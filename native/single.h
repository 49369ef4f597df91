// A call of one step that reads the weights where they are (single.cpp).
#pragma once

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// The most rows of such a call. Packing the weights takes longer than the products of so few rows.
constexpr long rows_in_place = 128;

// Whether a call is of this kind.
template <class T>
bool reads_in_place(const Layer<T>& l) {
    return !paired<T> && l.T_ == 1 && l.B <= rows_in_place && !l.lengths && !l.rounded && !l.state_mask &&
           !l.in_stages();
}

template <class T>
void single_forward(const Layer<T>& l);
template <class T>
void single_backward(const Layer<T>& l);

}  // namespace holdfast::HOLDFAST_ISA
