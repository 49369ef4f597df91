// The part of a step that works on each unit alone, for many vectors of units. It is compiled once per type
// (units.cpp) and shared by the loops over time; products in bfloat16 have loops of their own, but share it too.
#pragma once

#include "sequence.h"

namespace holdfast {

// `count` vectors of units at step t: the units from `first` on of as many rows; or, if `apart` is not 0, of one row,
// each vector `apart` units after the one before. In memory they are `next_...` values apart. What each array holds
// is in gates.h. h is written to y too, if the call has it.
template <class T>
struct UnitsForward {
    const Layer<T>& l;
    const long* order;  // the rows in the batch
    long t, first, apart, count;
    T* slots;
    long next_slots;
    const T* h_old;
    long next_h_old;
    T* h;
    long next_h;
    T *c, *c_before;  // LSTM only; c_before may be null
    long next_c;
};

// `count` rows of `vectors` contiguous vectors of units each, from unit `first` on. Slots past the last unit become 0.
template <class T>
struct UnitsBackward {
    const Layer<T>& l;
    const long *order, *length;  // the rows in the batch, and the lengths of all rows; null: all T
    long t, first, vectors, count;
    T* slots;
    long next_slots;
    const T* c_before;  // LSTM only
    long next_c;
    T *dh, *dc;  // dc: LSTM only
    long next_d;
    T* dpeephole;  // backward adds to it; read only if the call has peepholes
    long next_dpeephole;
};

#if defined(HOLDFAST_BF16)
namespace avx512 {
template <class T, Kind kind, bool plain>
void forward_units(const UnitsForward<T>&);
template <class T, Kind kind, bool plain>
void backward_units(const UnitsBackward<T>&);
}  // namespace avx512
#endif

}  // namespace holdfast

namespace holdfast::HOLDFAST_ISA {

#if defined(HOLDFAST_BF16)
using avx512::backward_units;
using avx512::forward_units;
#else
// `plain`: as in Options.
template <class T, Kind kind, bool plain>
void forward_units(const UnitsForward<T>&);
template <class T, Kind kind, bool plain>
void backward_units(const UnitsBackward<T>&);
#endif

// The functions for a call.
template <class T>
auto forward_units_of(const Layer<T>& l) {
    const bool plain = l.options.plain;
    switch (l.kind) {
        case Kind::rnn: return plain ? forward_units<T, Kind::rnn, true> : forward_units<T, Kind::rnn, false>;
        case Kind::lstm: return plain ? forward_units<T, Kind::lstm, true> : forward_units<T, Kind::lstm, false>;
        default: return plain ? forward_units<T, Kind::gru, true> : forward_units<T, Kind::gru, false>;
    }
}
template <class T>
auto backward_units_of(const Layer<T>& l) {
    const bool plain = l.options.plain;
    switch (l.kind) {
        case Kind::rnn: return plain ? backward_units<T, Kind::rnn, true> : backward_units<T, Kind::rnn, false>;
        case Kind::lstm: return plain ? backward_units<T, Kind::lstm, true> : backward_units<T, Kind::lstm, false>;
        default: return plain ? backward_units<T, Kind::gru, true> : backward_units<T, Kind::gru, false>;
    }
}

}  // namespace holdfast::HOLDFAST_ISA
