// Cells in stages: a unit needs results of other units within the step. The threads of a group wait for one another
// between the stages of a step.
//
//   layer norm         the products of all gates, normalised; then the units. In the LSTM then c', normalised, and h'.
//   reset before       the GRU's r and z; then the candidate's product with r h, and h'
//   projection         o ψ(c'), called m; then h' = W_hr m
//
// Here: what forward keeps of the stages for backward, and the weights that they need beside those of pack.h.
#pragma once

#include <utility>

#include "norm.h"
#include "pack.h"
#include "product.h"
#include "units.h"

namespace holdfast::HOLDFAST_ISA {

// The arrays of one step, from the first row of a group on.
template <class T>
struct StagesStep {
    T *inner, *projected, *products[2], *cell, *scales;
};

// What forward keeps. Panels and rows lie as in `gates`; the rows of arrays without panels are in the order of Team.
template <class T>
struct StagesKept {
    T* inner;          // [T][B][inner_row]: m, or r h
    T* projected;      // [T][panels of outputs][B][width]: W_hr m before its clip; in backward its gradient
    T *input, *state;  // [T][panels][B][width]: the normalised products; in backward the products' gradients
    T* cell;           // [T][B][padded]: c', normalised
    T* scales;         // [T][B][parts]: the 1 / sqrt(var + ε) of each part
    long inner_row, inner_step, projected_step, product_step, cell_step, scales_step;
    long padded, width;
    long size;  // values of all arrays together

    // For `steps` steps at `data`, which may be null when only the size is wanted.
    static StagesKept of(const Layer<T>& l, const Panels& p, long steps, T* data) {
        const bool norm = l.options.norm, lstm = l.kind == Kind::lstm, projects = l.O != l.H;
        const Panels outputs = Panels::in_panels_of(p.columns(), l.O, p.W);
        StagesKept k{};
        k.padded = p.padded;
        k.width = p.width();
        k.inner_row = padded_stride(p.padded, p.W);
        k.inner_step = projects || l.options.reset_before ? l.B * k.inner_row : 0;
        k.projected_step = projects ? outputs.count * l.B * outputs.width() : 0;
        k.product_step = norm ? p.count * l.B * p.width() : 0;
        k.cell_step = norm && lstm ? l.B * p.padded : 0;
        k.scales_step = norm ? l.B * parts : 0;
        const std::pair<T**, long> arrays[] = {{&k.inner, k.inner_step},     {&k.projected, k.projected_step},
                                               {&k.input, k.product_step},   {&k.state, k.product_step},
                                               {&k.cell, k.cell_step},       {&k.scales, k.scales_step}};
        for (const auto& [array, step] : arrays) {
            if (data && step) *array = data + k.size;
            k.size += steps * step;
        }
        return k;
    }

    StagesStep<T> at(long step, long first) const {
        return {inner + step * inner_step + first * inner_row,
                projected + step * projected_step + first * width,
                {input + step * product_step + first * width, state + step * product_step + first * width},
                cell + step * cell_step + first * padded,
                scales + step * scales_step + first * parts};
    }

    static constexpr long parts = 4;  // the most that a cell has
};

// Spreads a vector of [gates H] values over the columns of the panels; the columns of the other product get 0.
template <class T>
void spread_over_columns(const Panels& p, const T* values, bool state, Share panels, T* out) {
    for (long q = panels.begin; q < panels.end; q++)
        for (long n = 0; n < p.columns(); n++) {
            const bool other = p.gates != p.slots && n == (state ? 2 : 3);
            store<T>(out + (q * p.columns() + n) * p.W,
                     other ? Vec<T>{} : load_some<T>(values + p.row(q, n), p.lanes_of(q, n)));
        }
}

// What forward reads beside its other weights, behind them in the packed block: the gains of the two normalised
// products, and the matrix of the last product.
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
                spread_over_columns<T>(p, state ? l.norm_hh : l.norm_ih, state, panels,
                                       const_cast<T*>(to.gain(state, 0)));
        const Matrix<T> last = last_matrix(l);
        last.pack(Share::of(panels_of_4(last.outputs(), p.W), member, members), const_cast<T*>(to.last()));
    }

  private:
    static Matrix<T> last_matrix(const Layer<T>& l) {
        const long padded = Panels::of(l).padded;  // the product reads the padding too
        if (l.O != l.H) return {l.weight_hr, l.O, l.H, padded, true, l.rounded};
        if (l.options.reset_before) return {l.weight_hh + 2 * l.H * l.H, l.H, l.H, padded, true, l.rounded};
        return {nullptr, 0, 0, 0, true, false};
    }

    const T* gains_;
    long width_, all_;
};

// One thread in a call: what its passes forward and backward share.
template <class T, Kind kind, int N>
class StagesThread {
  protected:
    static constexpr long W = lanes<T>, width = N * W;
    static constexpr bool lstm = kind == Kind::lstm, gru = kind == Kind::gru;
    using P = Parts<kind, N>;

    StagesThread(const Layer<T>& l, const Panels& p, Team& team, long thread, const NormMemory<T>& norm)
        : l_(l), p_(p), team_(team), thread_(thread), member_(team.member(thread)), units_layer_(l),
          norm_(l.options.norm), projects_(l.O != l.H), resets_(l.options.reset_before),
          usual_(has_usual_activations(l)), rows_(team.rows),
          group_(team.group(thread)), first_(rows_.start[group_]), panels_(Share::of(p.count, member_, team.members)),
          norms_(norm, team, thread, P::all) {
        if (!projects_) return;  // h' gets its zoneout, and is written to y, after the projection
        units_layer_.options.zoneout_h = 0;
        units_layer_.zoned_h = nullptr;
        units_layer_.y = {};
    }

    T* row(T* of_step, long q, long r) const { return of_step + (q * l_.B + r) * width; }
    Share share_of_4(long values) const { return Share::of(panels_of_4(values, W), member_, team_.members); }
    const Layer<T>& l_;
    const Panels& p_;
    Team& team_;
    const long thread_, member_;
    Layer<T> units_layer_;  // as the units alone see it
    const bool norm_, projects_, resets_, usual_;
    const Rows& rows_;
    const long group_, first_;  // the group and its first row
    const Share panels_;
    Norm<T> norms_;
    long t_;              // the step
    T* gates_;            // of the step, from the group's first row on
    StagesStep<T> step_;  // the same
};

}  // namespace holdfast::HOLDFAST_ISA
