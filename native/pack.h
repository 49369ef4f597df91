// Weights as the loops read them: per panel, its columns side by side, row after row. Where operands lie in pairs
// (operand.h), two rows alternate.
#pragma once

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// For forward: first the biases of all panels; then per panel and part of its columns [O][columns] for h and
// [I][columns] for x. A part is the columns of one tile. Of the GRU's four slots, the third is only for x and the
// fourth only for h. With the reset before the product, the fourth is not packed here.
template <class T, Kind kind, int N>
class ForwardWeights {
  public:
    static constexpr int all_columns = kind == Kind::gru ? 3 : N;
    static constexpr int parts = N == 4 && all_columns == 4 && Types<T>::bytes >= 32 && !paired<T> ? 2 : 1;
    static constexpr int columns = all_columns / parts;

    ForwardWeights(const Layer<T>& l, const Panels& p, const T* packed)
        : packed_(packed), panels_(reinterpret_cast<const Operand<T>*>(packed + p.count * p.width())),
          width_(p.width()), state_(whole<T>(l.O) * columns_h(l) * p.W),
          part_(state_ + whole<T>(l.I) * columns * p.W) {}

    const T* bias(long q) const { return packed_ + q * width_; }
    const Operand<T>* state(long q, int part) const { return panels_ + (q * parts + part) * part_; }
    const Operand<T>* input(long q, int part) const { return state(q, part) + state_; }
    long next_part() const { return part_; }

    static long size(const Layer<T>& l, const Panels& p) {  // values of T
        const long operands = (whole<T>(l.O) * columns_h(l) + whole<T>(l.I) * columns) * parts * p.W;
        return p.count * (p.width() + operands * long(sizeof(Operand<T>)) / long(sizeof(T)));
    }

    static void pack(const Layer<T>& l, const Panels& p, Share panels, T* out) {
        constexpr long W = lanes<T>;
        const ForwardWeights to(l, p, out);
        for (long q = panels.begin; q < panels.end; q++) {
            for (int n = 0; n < all_columns; n++) {
                const int part = n / columns, at = n % columns;
                const long column_h = kind == Kind::gru && n == 2 ? 3 : n, vectors = columns_h(l);
                if (at < vectors)
                    put_columns<T>(l.weight_hh + p.row(q, column_h) * l.O, l.O, p.lanes_of(q, column_h), l.O,
                                   l.rounded, const_cast<Operand<T>*>(to.state(q, part)) + at * pair<T> * W,
                                   vectors * W);
                put_columns<T>(l.weight_ih + p.row(q, n) * l.I, l.I, p.lanes_of(q, n), l.I, l.rounded,
                               const_cast<Operand<T>*>(to.input(q, part)) + at * pair<T> * W, columns * W);
            }
            T* bias = const_cast<T*>(to.bias(q));
            for (long n = 0; n < p.columns(); n++) {
                const bool x_only = kind == Kind::gru && n == 2, h_only = kind == Kind::gru && n == 3;
                const long row = p.row(q, n), count = p.lanes_of(q, n);
                Vec<T> sum{};
                if (l.bias_ih && !h_only) sum = load_some<T>(l.bias_ih + row, count);
                if (l.bias_hh && !x_only) sum = sum + load_some<T>(l.bias_hh + row, count);
                store<T>(bias + n * W, sum);
            }
        }
    }

  private:
    static long columns_h(const Layer<T>& l) { return columns - l.options.reset_before; }

    const T* packed_;
    const Operand<T>* panels_;
    long width_, state_, part_;
};

// For backward: per panel of up to 4 vectors of outputs (the units of h, or the values of x) and panel of gates,
// [slots of the product][units][vectors of outputs]. Where each gate has a mask of h, all of this is once per slot.
template <class T, Kind kind, int N>
struct BackwardWeights {
    static constexpr int columns = kind == Kind::gru ? 3 : N;

    static long units(const Panels& p) { return (p.count - 1) * p.W + whole<T>(p.last_lanes()); }
    static long size(const Panels& p, long outputs) {  // operands
        return columns * units(p) * ((outputs + p.W - 1) / p.W * p.W);
    }

    // Packs the panels of outputs in `share`, of weight_hh (`state`) or weight_ih. With the reset before the product,
    // weight_hh is packed without the candidate.
    static void pack(const Layer<T>& l, const Panels& p, bool state, Share share, Operand<T>* out) {
        const long parts = columns - (state && l.options.reset_before), together = state && l.masks > 1 ? 1 : parts;
        for (long part = 0; part < parts; part += together, out += together * size(p, state ? l.O : l.I) / columns)
            pack(l, p, state, {part, part + together}, share, out);
    }

  private:
    static void pack(const Layer<T>& l, const Panels& p, bool state, Share parts, Share share, Operand<T>* out) {
        constexpr long W = lanes<T>;
        const long outputs = state ? l.O : l.I, vectors = (outputs + W - 1) / W;
        const T* source = state ? l.weight_hh : l.weight_ih;
        for (long q = share.begin * 4; q < std::min(vectors, share.end * 4); q += 4) {
            const long n = std::min(4L, vectors - q);
            Operand<T>* to = out + q * parts.size() * units(p) * W;
            for (long panel = 0; panel < p.count; panel++)
                for (long part = parts.begin; part < parts.end; part++) {
                    const long column = state && part + 1 == columns ? N - 1 : part;
                    const long row = p.row(panel, column), count = p.lanes_of(panel, column);
                    const long slot = panel + 1 < p.count ? W : p.last_lanes();
                    for (long lane = 0; lane < slot; lane += pair<T>, to += n * pair<T> * W)
                        for (long k = 0; k < n; k++) {
                            const long at = (q + k) * W;
                            auto step = [&](long j) {
                                const T* from = source + (row + lane + j) * outputs + at;
                                return lane + j < count ? load_some<T>(from, outputs - at) : Vec<T>{};
                            };
                            put_steps<T>(to + k * pair<T> * W, l.rounded, step);
                        }
                }
        }
    }
};

}  // namespace holdfast::HOLDFAST_ISA
