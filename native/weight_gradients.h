// The gradients of the weights and biases: [left 1]^T right, summed over all rows and steps. For the recurrent
// weights, left is h and right is the gates' gradients.
#pragma once

#include "matmul_amx.h"
#include "row_pairs.h"
#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// Asks for the values from `begin` to `end` (excluded), which will soon be read: a row of x, y or dy is in other cache
// lines and pages than the rows before it, so the processor does not expect it.
template <class T>
HF_INLINE void prefetch(const T* from, long begin, long end) {
    for (long k = begin; k < end; k += 64 / long(sizeof(T))) __builtin_prefetch(from + k);
}

// One gradient that a WeightGradients adds up. The right factor has panels of N vectors.
template <class T, Kind kind, int N>
struct WeightSum {
    static constexpr int columns = kind == Kind::gru ? 3 : N, M = tile_rows<T, columns>;
    using Tile = std::conditional_t<paired<T>, void (*)(const Operand<T>*, const Operand<T>*, long, bool, T*),
                                    void (*)(const T*, const Stretch*, long, const T*, long, bool, T*)>;

    const T* right;      // [T][panels][B][width]; where operands lie in pairs, the same for all sums
    long vectors, last;  // the columns of a panel that take part: 0, 1, ..., `vectors` - 2, and then `last`
    Tile tile;
    enum class Left { state, input, rows } left;  // the left factor: h before the step with its mask, x, or `rows`
    long size;                                    // the left factor's values
    T *weight, *bias;                             // the gradients in torch's layout; bias may be null
    const T* rows = nullptr;                      // [T][B][...] in the order of Team, with strides `step` and `row`
    long step = 0, row = 0;
    long mask = 0;            // the number of h's mask
    long begin = 0, end = 0;  // its strips

    template <int vectors, int last>
    static WeightSum of(Left left, long size, const T* right, T* weight, T* bias) {
        Tile tile;
        if constexpr (paired<T>)
            tile = outer_function<T, M, vectors, N, last>();
        else
            tile = outer_tile<T, M, vectors, last>;
        return {right, vectors, last, tile, left, size, weight, bias};
    }
};

// The gradients that a WeightGradients adds up: at most weight_ih, and weight_hh once per gate.
template <class T, Kind kind, int N>
struct WeightSums {
    std::array<WeightSum<T, kind, N>, 5> all{};
    int count = 0;

    void add(const WeightSum<T, kind, N>& sum) { all[count++] = sum; }
};

// The left factors, each followed by a 1 for the bias, are cut into strips of M values. A thread has some strips and
// some panels of the right factors. It goes through the rows in pieces: it copies its strips of a piece into one block
// and adds their products with the right factors, which it reads in place, to its own sums.
template <class T, Kind kind, int N>
class WeightGradients {
    using Sum = WeightSum<T, kind, N>;
    static constexpr long W = lanes<T>, M = Sum::M, columns = Sum::columns;

  public:
    // p: the layout of the right factors, which says to which rows of the weights their columns belong.
    WeightGradients(const Layer<T>& l, const Panels& p, const Team& team, Scratch& scratch,
                    const WeightSums<T, kind, N>& sums)
        : l_(l), p_(p), team_(team), all_(sums.all), count_(sums.count) {
        for (int k = 0; k < count_; k++) {
            all_[k].begin = strips_;
            strips_ += (all_[k].size + 1 + M - 1) / M;
            all_[k].end = strips_;
        }
        along_ = std::clamp(strips_ / 4, 1L, team.threads);
        while (team.threads % along_) along_--;
        const long most = std::max(1L, (strips_ + along_ - 1) / along_);
        piece_ = whole<T>(std::min(piece_rows, l.B * l.T_));
        strip_ = M * (on_tiles<T> ? (piece_ + 31) / 32 * 32 : piece_) + 64 / long(sizeof(Operand<T>));
        left_thread_ = most * strip_;
        sums_thread_ = most * M * columns * W;  // of one panel
        if (l.B * l.T_ > piece_) sums_thread_ *= (p.count * along_ + team.threads - 1) / team.threads;
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
        Stretch* stretches = stretches_ + thread * piece_;
        long missing = 0;  // rows of all steps that are in no piece yet
        for (long b = 0; b < l_.B; b++) missing += rows.length[b];
        Piece piece{};
        auto add_piece = [&] {
            missing -= piece.rows;
            piece.ends = !missing;
            add(thread, strips, panels, piece);
            piece = {.begins = false};
        };
        for (long t = 0; t < l_.T_; t++)
            for (long k = 0; k < rows.groups(); k++)
                for (long from = 0, n = rows.active(k, t); from < n;) {
                    const long first = rows.start[k] + from, taken = std::min(n - from, piece_ - piece.rows);
                    stretches[piece.stretches++] = {(t * p_.count * l_.B + first) * p_.width(), taken};
                    for (long r = 0; r < taken; r++, piece.rows++) {
                        if (r + 2 < taken) prefetch_row(strips, first + r + 2, t);
                        copy(strips, thread, piece.rows, first + r, t);
                    }
                    from += taken;
                    if (piece.rows == piece_) add_piece();
                }
        if (piece.rows || piece.begins) add_piece();
    }

  private:
    // The rows of a piece. Each tile reads the right factors of all of them: 24 KB, which stay in a first-level cache
    // of 32 KB. With fewer rows, reading and writing the sums would take more of the time.
    static constexpr long piece_rows =
        std::min(256L, (24 << 10) / (N * W * long(on_tiles<T> ? sizeof(Operand<T>) : sizeof(T))));

    // Rows of some steps.
    struct Piece {
        long rows = 0, stretches = 0;
        bool begins = true, ends = false;  // whether it is the first piece, or the last one
    };

    // The strips of a sum that are in a share.
    static Share of(Share strips, const Sum& sum) {
        const long begin = std::clamp(strips.begin, sum.begin, sum.end);
        return {begin, std::clamp(strips.end, begin, sum.end)};
    }

    // Adds the products of a piece to the thread's sums. After the last piece it writes the sums of each panel while
    // they are in the cache. If the first piece is also the last one, all panels use the same memory.
    void add(long thread, Share strips, Share panels, const Piece& piece) const {
        const Stretch* stretches = stretches_ + thread * piece_;
        T* const all_sums = sums_ + thread * sums_thread_;
        if (!piece.rows) std::fill_n(all_sums, sums_thread_, T(0));  // all lengths are 0
        T* into = all_sums;
        [[maybe_unused]] Operand<T>* pairs = right_;
        if constexpr (paired<T>) {
            pairs += thread * piece_ * p_.width();
            if (piece.rows % 2) copy(strips, thread, piece.rows, -1, 0);
        }
        if constexpr (on_tiles<T>)
            for (long s = 0; s < strips.size(); s++)
                put_pairs_in_tiles(left_ + thread * left_thread_ + s * strip_, (piece.rows + 1) / 2);
        [[maybe_unused]] const UsesTiles<T> tiles;
        for (long q = panels.begin; q < panels.end; q++) {
            const long panel = q * l_.B * p_.width();
            if constexpr (paired<T>)
                put_row_pairs<T, N>(all_[0].right + panel, p_.width(), stretches, piece.stretches, pairs);
            if (piece.begins && piece.ends) into = all_sums;
            const Operand<T>* strip = left_ + thread * left_thread_;
            for (int k = 0; k < count_; k++) {
                const Sum& sum = all_[k];
                const Share share = of(strips, sum);
                const T* const sums = into;
                for (long s = piece.rows ? share.size() : 0; s > 0; s--, strip += strip_, into += M * sum.vectors * W)
                    if constexpr (paired<T>)
                        sum.tile(strip, pairs, (piece.rows + 1) / 2, piece.begins, into);
                    else
                        sum.tile(strip, stretches, piece.stretches, sum.right + panel, p_.width(), piece.begins, into);
                if (piece.ends && share.size()) write(share, q, sum, sums);
            }
        }
    }

    // The left factor of a sum for one row: its values, `stride` apart, times the mask if it is not null. `place` is
    // the row's place in the order of Team.
    struct Values {
        const T* from;
        long stride;
        const T* mask;
    };
    Values values(const Sum& sum, long place, long t) const {
        const long b = team_.rows.order[place];
        if (sum.left == Sum::Left::state)
            return {previous_h(l_, team_.rows.length.data(), b, t), 1, l_.state_mask ? l_.mask(b, sum.mask) : nullptr};
        if (sum.left == Sum::Left::input) return {l_.x.at(b, t), l_.x_value, nullptr};
        return {sum.rows + t * sum.step + place * sum.row, 1, nullptr};
    }

    // Asks for the values of a row before it is copied.
    void prefetch_row(Share strips, long place, long t) const {
        for (int k = 0; k < count_; k++) {
            const Sum& sum = all_[k];
            const Share share = of(strips, sum);
            const T* from = values(sum, place, t).from;
            prefetch(from, (share.begin - sum.begin) * M, std::min((share.end - sum.begin) * M, sum.size));
        }
    }

    // Writes row `number` of the strips, M values into each strip. In pairs, the second row writes both; a place of -1
    // means that there is no second row.
    void copy(Share strips, long thread, long number, long place, long t) const {
        Operand<T>* to = left_ + thread * left_thread_ + number / pair<T> * pair<T> * M;
        if constexpr (paired<T>) {
            RowPair<T, M> pair_of(row_pairs_ + thread * row_pair_thread_, row_pair_thread_ / 4 - W);
            if (place < 0) pair_of.take_nothing(1);
            for (int k = 0; k < count_ && place >= 0; k++) {
                const Sum& sum = all_[k];
                const Share share = of(strips, sum);
                const Values v = values(sum, place, t);
                if (share.size())
                    pair_of.take(number % 2, (share.begin - strips.begin) * M, v.from, v.stride, v.mask, sum.size,
                                 (share.begin - sum.begin) * M, (share.end - sum.begin) * M);
            }
            if (number % 2) pair_of.write(to, strips.size(), strip_);
        } else {
            copy_values(strips, to, place, t);
        }
    }
    void copy_values(Share strips, T* to, long place, long t) const {
        for (int k = 0; k < count_; k++) {
            const Sum& sum = all_[k];
            const Share share = of(strips, sum);
            if (!share.size()) continue;
            const auto [from, stride, mask] = values(sum, place, t);
            const long size = sum.size, contiguous = mask || stride != 1 ? 0 : size;  // values that need only a copy
            long begin = (share.begin - sum.begin) * M;
            for (long s = share.size(); s > 0; s--, begin += M, to += strip_) {
                if (begin + M <= contiguous) {
                    std::memcpy(to, from + begin, M * sizeof(T));
                } else {
                    for (long m = 0; m < M; m++) {
                        const long at = begin + m;
                        if (at >= size)
                            to[m] = at == size ? T(1) : T(0);
                        else
                            to[m] = mask ? from[at] * mask[at] : from[at * stride];
                    }
                }
                if (l_.rounded)
                    for (long m = 0; m < M; m++) to[m] = nearest(to[m]);
            }
        }
    }

    // Writes the sums of some strips and a panel, transposed into the layout of the weights.
    void write(Share strips, long q, const Sum& sum, const T* sums) const {
        const long at = (strips.begin - sum.begin) * M, ld = sum.vectors * W;
        const long values = std::min(strips.size() * M, sum.size - at);  // without the bias
        for (long n = 0; n < sum.vectors; n++) {
            const long column = n + 1 == sum.vectors ? sum.last : n, row = p_.row(q, column);
            const long count = p_.lanes_of(q, column);
            const T* from = sums + n * W;  // [values][vectors]
            for (long k = 0; k < values; k += W) {
                Vec<T> v[W];
                const long n_values = std::min(W, values - k);
                for (long j = 0; j < W; j++) v[j] = j < n_values ? load<T>(from + (k + j) * ld) : Vec<T>{};
                transpose_lanes<T>(v);
                for (long lane = 0; lane < count; lane++)
                    store_some<T>(sum.weight + (row + lane) * sum.size + at + k, v[lane], n_values);
            }
            if (sum.bias && at + strips.size() * M > sum.size)
                store_some<T>(sum.bias + row, load<T>(from + (sum.size - at) * ld), count);
        }
    }

    const Layer<T>& l_;
    const Panels& p_;
    const Team& team_;
    std::array<Sum, 5> all_;
    int count_;
    long strips_ = 0, along_, piece_, strip_, left_thread_, sums_thread_;
    Operand<T> *left_, *right_ = nullptr, *row_pairs_ = nullptr;
    long row_pair_thread_ = 0;
    T* sums_;
    Stretch* stretches_;
};

}  // namespace holdfast::HOLDFAST_ISA
