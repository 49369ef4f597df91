// The loops of one instruction set. rows.cpp and stages.cpp have them; both are compiled once per type, HOLDFAST_REAL,
// so that a build uses all cores. What all cells share is compiled apart: units.cpp and tiles.cpp.
#pragma once

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// A cell whose units need no results of other units within a step (rows.cpp), and a cell in stages (stages.cpp).
template <class T>
void rows_forward(const Layer<T>& l);
template <class T>
void rows_backward(const Layer<T>& l);
template <class T>
long stages_packed_size(const Layer<T>& l);
template <class T>
void stages_pack(const Layer<T>& l, T* out);
template <class T>
void stages_forward(const Layer<T>& l);
template <class T>
void stages_backward(const Layer<T>& l);

// Calls f(kind, columns of a tile), both known at compile time.
template <class T, class F>
void with_cell(const Layer<T>& l, F f) {
    const long columns = Panels::of(l).columns();
    auto with = [&]<Kind kind, int n>() {
        if (l.kind == kind && columns == n) f(std::integral_constant<Kind, kind>{}, std::integral_constant<int, n>{});
    };
    with.template operator()<Kind::lstm, 4>();
    with.template operator()<Kind::lstm, 3>();
    with.template operator()<Kind::gru, 4>();
    with.template operator()<Kind::rnn, 2>();
    with.template operator()<Kind::rnn, 4>();
}

}  // namespace holdfast::HOLDFAST_ISA
