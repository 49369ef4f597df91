// The part of each cell that works on each unit alone: gates and state, forward above backward.
//
// The letters are those of the equations in src/holdfast/cells. Each function takes one vector of units of one row;
// forward also takes R of them and computes them side by side (several.h).
// `slots` holds the unit's vectors side by side, [slots][W]: before forward the sums of the matrix products and biases
// (a), after forward what the activations store, after backward the gradients of the sums. `plain` means that all
// options are off, and `usual` that the activations are: the checks of options, which are in unit.h and LstmUnit, or
// those of activations.h then vanish at compile time.
#pragma once

#include "gates_gru.h"
#include "gates_lstm.h"
#include "gates_rnn.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, Kind kind, bool plain, int R, bool usual = plain>
HF_INLINE void cell_forward(const Options<T>& o, const Unit<T>& u, Place<T, R> slots, Place<const T, R> h_old,
                            Place<T, R> h, Place<T, R> c) {
    if constexpr (kind == Kind::rnn) rnn_forward<T, plain, R, usual>(o, u, slots, h_old, h);
    if constexpr (kind == Kind::lstm) lstm_forward<T, plain, R, usual>(o, u, slots, h_old, h, c);
    if constexpr (kind == Kind::gru) gru_forward<T, plain, R, usual>(o, u, slots, h_old, h);
}

}  // namespace holdfast::HOLDFAST_ISA
