// Cells whose units need whole rows of what other units gave; each step then has stages, between which the threads of a
// group wait for one another.
//
//   layer norm         the products of all gates, normalised; then the units. In the LSTM, then c', normalised, and h'.
//   reset before       the GRU's r and z; then the candidate's product with r h, and h'
//   projection         o ψ(c'), here m; then h', its product with W_hr
//
// What is kept of this for backward, and the weights that it needs beside those of pack.h.
#pragma once

#include "norm.h"
#include "pack.h"
#include "product.h"

namespace holdfast::HOLDFAST_ISA {

// The values of a step lie together, panels and rows as in `gates`; the rows of other arrays in the order of Team.
template <class T>
struct StagesKept {
    T* inner;      // [T][B][inner_row]: m, or r h
    T* projected;  // [T][panels of outputs][B][width]: W_hr m before it is clipped; afterwards its gradient
    T *input, *state;  // [T][panels][B][width]: the products, normalised; afterwards the gradients of the products
    T* cell;           // [T][B][padded]: c', normalised
    T* scales;         // [T][B][parts]: the 1 / sqrt(var + ε) of each
    long inner_row, inner_step, projected_step, product_step, cell_step, scales_step;
    long size;  // of all, in values

    // For `steps` steps at `data`, which may be null when only the size is wanted.
    static StagesKept of(const Layer<T>& l, const Panels& p, long steps, T* data) {
        const bool norm = l.options.norm, lstm = l.kind == Kind::lstm, projects = l.O != l.H;
        const Panels outputs = Panels::in_panels_of(p.columns(), l.O, p.W);
        StagesKept k{};
        k.inner_row = padded_stride(p.padded, p.W);
        k.inner_step = projects || l.options.reset_before ? l.B * k.inner_row : 0;
        k.projected_step = projects ? outputs.count * l.B * outputs.width() : 0;
        k.product_step = norm ? p.count * l.B * p.width() : 0;
        k.cell_step = norm && lstm ? l.B * p.padded : 0;
        k.scales_step = norm ? l.B * parts : 0;
        T** arrays[] = {&k.inner, &k.projected, &k.input, &k.state, &k.cell, &k.scales};
        const long sizes[] = {k.inner_step, k.projected_step, k.product_step, k.product_step, k.cell_step, k.scales_step};
        for (int n = 0; n < 6; n++) {
            if (data && sizes[n]) *arrays[n] = data + k.size;
            k.size += steps * sizes[n];
        }
        return k;
    }

    static constexpr long parts = 4;  // the most that a cell has
};

// Rows of torch's weights, or of what has as many, as the columns of the panels; 0 in columns of the other product.
template <class T>
void spread_over_columns(const Panels& p, const T* rows, bool state, Share panels, T* out) {
    for (long q = panels.begin; q < panels.end; q++)
        for (long n = 0; n < p.columns(); n++) {
            const bool other = p.gates != p.slots && n == (state ? 2 : 3);
            store<T>(out + (q * p.columns() + n) * p.W,
                     other ? Vec<T>{} : load_some<T>(rows + p.row(q, n), p.lanes_of(q, n)));
        }
}

// What forward reads beside its other weights, behind them in the packed block: the gains of the input's and of the
// state's normalised products, and the matrix of the last product.
template <class T>
class StagesWeights {
  public:
    StagesWeights(const Layer<T>& l, const Panels& p, const T* packed)
        : gains_(packed), width_(p.width()), all_(l.options.norm ? p.count * p.width() : 0) {}

    const T* gain(bool state, long q) const { return gains_ + state * all_ + q * width_; }
    const T* last() const { return gains_ + 2 * all_; }

    static long size(const Layer<T>& l, const Panels& p) {
        return (l.options.norm ? 2 * p.count * p.width() : 0) + last_matrix(l).packed_size();
    }
    static void pack(const Layer<T>& l, const Panels& p, long member, long members, T* out) {
        const StagesWeights to(l, p, out);
        const Share panels = Share::of(p.count, member, members);
        if (l.options.norm)
            for (bool state : {false, true})
                spread_over_columns<T>(p, state ? l.norm_hh : l.norm_ih, state, panels, const_cast<T*>(to.gain(state, 0)));
        const Matrix<T> last = last_matrix(l);
        last.pack(Share::of(panels_of_4(last.outputs(), p.W), member, members), const_cast<T*>(to.last()));
    }

  private:
    static Matrix<T> last_matrix(const Layer<T>& l) {
        const long padded = Panels::of(l).padded;  // the padding is read too
        if (l.O != l.H) return {l.weight_hr, l.O, l.H, padded, true};
        if (l.options.reset_before) return {l.weight_hh + 2 * l.H * l.H, l.H, l.H, padded, true};
        return {nullptr, 0, 0, 0, true};
    }

    const T* gains_;
    long width_, all_;
};

}  // namespace holdfast::HOLDFAST_ISA
