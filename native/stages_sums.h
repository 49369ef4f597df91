// The sums that each thread makes in the loop backward of a cell in stages, and how they are combined.
#pragma once

#include "backward.h"

namespace holdfast::HOLDFAST_ISA {

// Where a thread's sums over rows and steps lie in its `size` values: the gradients of the gain and bias of the x
// product and then of the h product, in the order of the panels' columns; of the gain and shift of c'; of the
// peepholes.
struct StagesSums {
    long columns, cell, peepholes, size;

    template <class T>
    static StagesSums of(const Layer<T>& l, const Panels& p) {
        StagesSums s{};
        s.columns = l.options.norm ? p.count * p.width() : 0;
        s.cell = 4 * s.columns;
        s.peepholes = s.cell + (l.options.norm && l.kind == Kind::lstm ? 2 * p.padded : 0);
        s.size = s.peepholes + (l.peephole ? (p.gates - 1) * p.padded : 0);
        return s;
    }
    long gain(bool state) const { return 2 * state * columns; }
    long bias(bool state) const { return gain(state) + columns; }
};

// Adds up the sums of all threads and writes the gradients.
template <class T>
void write_sums(const Layer<T>& l, const Panels& p, const Team& team, const StagesSums& places, const T* sums) {
    if (l.options.norm)
        for (bool state : {false, true})
            for (long q = 0; q < p.count; q++)
                for (long n = 0; n < p.columns(); n++) {
                    if (l.kind == Kind::gru && n == (state ? 2 : 3)) continue;
                    const long at = (q * p.columns() + n) * p.W, row = p.row(q, n), count = p.lanes_of(q, n);
                    T* bias = state ? l.dbias_hh : l.dbias_ih;
                    add_up(team, sums + places.gain(state) + at, places.size, count,
                           (state ? l.dnorm_hh : l.dnorm_ih) + row);
                    if (bias) add_up(team, sums + places.bias(state) + at, places.size, count, bias + row);
                }
    if (l.options.norm && l.kind == Kind::lstm) {
        add_up(team, sums + places.cell, places.size, l.H, l.dnorm_c);
        add_up(team, sums + places.cell + p.padded, places.size, l.H, l.dnorm_c_bias);
    }
    if (l.peephole)
        for (long g = 0; g + 1 < p.gates; g++)
            add_up(team, sums + places.peepholes + g * p.padded, places.size, l.H, l.dpeephole + g * l.H);
}

}  // namespace holdfast::HOLDFAST_ISA
