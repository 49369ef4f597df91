// The gradients of the weights and biases: [h 1]^T dgates and [x 1]^T dgates, summed over all rows and steps.
#pragma once

#include "row_pairs.h"
#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// The left factors, h and x with a 1 behind them for the bias, are cut into strips of M of their values; a thread has
// some strips, and some panels of gates. It goes through the rows in pieces, copies its strips of a piece together, and
// adds their products with the gates' gradients, which it reads where they lie, to its own sums.
template <class T, Kind kind, int N>
class WeightGradients {
    static constexpr long W = lanes<T>;
    static constexpr int columns = kind == Kind::gru ? 3 : N, M = tile_rows<T, columns>;
    static constexpr int last_h = N - 1, last_x = kind == Kind::gru ? 2 : N - 1;

  public:
    WeightGradients(const Layer<T>& l, const Panels& p, const Team& team, Scratch& scratch)
        : l_(l), p_(p), team_(team), strips_h_((l.H + 1 + M - 1) / M), strips_(strips_h_ + (l.I + 1 + M - 1) / M) {
        along_ = std::clamp(strips_ / 4, 1L, team.threads);
        while (team.threads % along_) along_--;
        const long most = (strips_ + along_ - 1) / along_;
        piece_ = std::clamp(cache / long(sizeof(Operand<T>)) / (most * M), 64L, 256L);
        piece_ = whole<T>(std::min(piece_, l.B * l.T_));
        left_thread_ = most * M * piece_;
        sums_thread_ = most * ((p.count * along_ + team.threads - 1) / team.threads + 1) * M * columns * W;
        left_ = scratch.take<Operand<T>>(team.threads * left_thread_);
        if constexpr (paired<T>) {
            right_ = scratch.take<Operand<T>>(team.threads * piece_ * p.width());
            row_pair_thread_ = RowPair<T, M>::size(most * M);
            row_pairs_ = scratch.take<Operand<T>>(team.threads * row_pair_thread_);
        }
        sums_ = scratch.take<T>(team.threads * sums_thread_);
        stretches_ = scratch.take<Stretch>(team.threads * piece_);
    }

    void run(long thread) const {
        const Share strips = Share::of(strips_, thread % along_, along_);
        const Share panels = Share::of(p_.count, thread / along_, team_.threads / along_);
        if (!strips.size() || !panels.size()) return;
        const Rows& rows = team_.rows;
        Operand<T>* left = left_ + thread * left_thread_;
        T* sums = sums_ + thread * sums_thread_;
        Stretch* stretches = stretches_ + thread * piece_;
        std::fill_n(sums, strips.size() * panels.size() * M * columns * W, T(0));
        long filled = 0, count = 0;
        auto add = [&] {
            if constexpr (paired<T>)
                if (filled % 2) copy(strips, thread, filled, -1, 0);
            T* into = sums;
            for (long q = panels.begin; q < panels.end; q++) {
                const T* g = l_.gates + q * l_.B * p_.width();
                Operand<T>* right = right_;
                if constexpr (paired<T>)
                    put_row_pairs<T, N>(g, p_.width(), stretches, count, right += thread * piece_ * p_.width());
                for (long s = strips.begin; s < strips.end; s++, into += M * columns * W) {
                    const Operand<T>* strip = left + (s - strips.begin) * M * piece_;
                    const bool state = s < strips_h_;
                    if constexpr (paired<T>) {
                        const auto tile = state ? outer_tile_of_pairs<T, M, columns, N, last_h>
                                                : outer_tile_of_pairs<T, M, columns, N, last_x>;
                        tile(strip, right, (filled + 1) / 2, into);
                    } else {
                        const auto tile = state ? outer_tile<T, M, columns, last_h> : outer_tile<T, M, columns, last_x>;
                        tile(strip, stretches, count, g, p_.width(), into);
                    }
                }
            }
            filled = count = 0;
        };
        for (long t = 0; t < l_.T_; t++)
            for (long k = 0; k < rows.groups(); k++)
                for (long from = 0, n = rows.active(k, t); from < n;) {
                    const long first = rows.start[k] + from, some = std::min(n - from, piece_ - filled);
                    stretches[count++] = {(t * p_.count * l_.B + first) * p_.width(), some};
                    for (long r = 0; r < some; r++, filled++) copy(strips, thread, filled, rows.order[first + r], t);
                    from += some;
                    if (filled == piece_) add();
                }
        add();
        write(strips, panels, sums);
    }

  private:
    static constexpr long cache = 384 << 10;  // bytes of a piece: it is read once a panel of gates

    // Row `number` of the strips: M values of it in each. Of pairs, the second writes both; no second one: b is -1.
    void copy(Share strips, long thread, long number, long b, long t) const {
        Operand<T>* to = left_ + thread * left_thread_ + number / pair<T> * pair<T> * M;
        if constexpr (paired<T>) {
            RowPair<T, M> pair_of(row_pairs_ + thread * row_pair_thread_, row_pair_thread_ / 4 - W);
            if (b < 0) {
                pair_of.take_nothing(1);
            } else {
                const long middle = std::clamp(strips_h_, strips.begin, strips.end);
                const T* mask = l_.state_mask ? l_.state_mask + b * l_.H : nullptr;
                pair_of.take(number % 2, 0, previous_h(l_, team_.rows, b, t), 1, mask, l_.H, strips.begin * M, middle * M);
                pair_of.take(number % 2, (middle - strips.begin) * M, l_.x.at(b, t), l_.x_value, nullptr, l_.I,
                             (middle - strips_h_) * M, (strips.end - strips_h_) * M);
            }
            if (number % 2) pair_of.write(to, strips.size(), M * piece_);
        } else {
            copy_values(strips, to, b, t);
        }
    }
    void copy_values(Share strips, T* to, long b, long t) const {
        const T *h = previous_h(l_, team_.rows, b, t), *x = l_.x.at(b, t), *mask = l_.state_mask;
        if (mask) mask += b * l_.H;
        for (long s = strips.begin; s < strips.end; s++, to += M * piece_) {
            const bool state = s < strips_h_;
            const long size = state ? l_.H : l_.I, begin = (state ? s : s - strips_h_) * M;
            if (begin + M <= size && (state ? !mask : l_.x_value == 1)) {
                std::memcpy(to, (state ? h : x) + begin, M * sizeof(T));
            } else {
                for (long m = 0; m < M; m++) {
                    const long at = begin + m;
                    if (at >= size)
                        to[m] = at == size ? T(1) : T(0);
                    else
                        to[m] = state ? (mask ? h[at] * mask[at] : h[at]) : x[at * l_.x_value];
                }
            }
            if (l_.rounded)
                for (long m = 0; m < M; m++) to[m] = nearest(to[m]);
        }
    }

    // The sums, turned over into the layout of the weights.
    void write(Share strips, Share panels, const T* sums) const {
        for (int state = 0; state < 2; state++) {
            const long begin = state ? strips.begin : std::max(strips.begin, strips_h_);
            const long end = state ? std::min(strips.end, strips_h_) : strips.end;
            if (begin >= end) continue;
            const long size = state ? l_.H : l_.I, at = (begin - (state ? 0 : strips_h_)) * M;
            const long values = std::min((end - begin) * M, size - at);  // without the bias
            T *weight = state ? l_.dweight_hh : l_.dweight_ih, *bias = state ? l_.dbias_hh : l_.dbias_ih;
            for (long q = panels.begin; q < panels.end; q++) {
                const T* panel = sums + ((q - panels.begin) * strips.size() + begin - strips.begin) * M * columns * W;
                for (long n = 0; n < columns; n++) {
                    const long column = state && n + 1 == columns ? last_h : n, row = p_.row(q, column);
                    const long count = p_.lanes_of(q, column);
                    const T* from = panel + n * W;  // [values][vectors of columns]
                    for (long k = 0; k < values; k += W) {
                        Vec<T> v[W];
                        const long some = std::min(W, values - k);
                        for (long j = 0; j < W; j++) v[j] = j < some ? load<T>(from + (k + j) * columns * W) : Vec<T>{};
                        transpose_lanes<T>(v);
                        for (long lane = 0; lane < count; lane++)
                            store_some<T>(weight + (row + lane) * size + at + k, v[lane], some);
                    }
                    if (bias && at + (end - begin) * M > size)
                        store_some<T>(bias + row, load<T>(from + (size - at) * columns * W), count);
                }
            }
        }
    }

    const Layer<T>& l_;
    const Panels& p_;
    const Team& team_;
    long strips_h_, strips_, along_, piece_, left_thread_, sums_thread_;
    Operand<T> *left_, *right_ = nullptr, *row_pairs_ = nullptr;
    long row_pair_thread_ = 0;
    T* sums_;
    Stretch* stretches_;
};

}  // namespace holdfast::HOLDFAST_ISA
