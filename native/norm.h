// Layer normalisation of rows that the threads of a group share: y = (a - mean) / sqrt(var + ε), forward and backward.
//
// Each thread adds up its values of a row and publishes its sums; the group waits; then each thread collects all sums.
// Values that are normalised together are a part: gates of the x product, gates of the h product, or the cell state.
#pragma once

#include <limits>

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// Gates that are normalised together: columns `begin` to `end` (excluded) of the h product (`state`) or the x product.
struct Part {
    bool state;
    long begin, end;
};

// The parts of a cell. The GRU normalises its candidate separately: column 2 of the x product, 3 of the h product.
template <Kind kind, int N>
struct Parts {
    static constexpr int count = kind == Kind::gru ? 4 : 2, cell = count;  // the LSTM's cell state is last
    static constexpr int all = count + (kind == Kind::lstm);

    static constexpr Part of(int part) {
        if (kind == Kind::gru) return part < 2 ? Part{part == 1, 0, 2} : Part{part == 3, part, part + 1};
        return {part == 1, 0, N};
    }
    static constexpr long gates(int part) { return kind == Kind::rnn ? 1 : of(part).end - of(part).begin; }
};

template <class T>
HF_INLINE T sum_of_lanes(Vec<T> v) {
    T lane[lanes<T>];
    store<T>(lane, v);
#pragma GCC unroll 8
    for (long half = lanes<T> / 2; half; half /= 2)
        for (long k = 0; k < half; k++) lane[k] += lane[k + half];
    return lane[0];
}

// The memory of a call, for `rows` rows in a group.
template <class T>
struct NormMemory {
    T *sums, *published;
    long rows, thread_sums, thread_published;

    static NormMemory take(Scratch& scratch, long threads, long parts, long rows) {
        NormMemory m{};
        m.rows = rows;
        m.thread_sums = padded_stride(parts * rows * (2 * lanes<T> + 4), lanes<T>);
        m.thread_published = padded_stride(parts * rows * 3, 64 / sizeof(T));
        m.sums = scratch.take<T>(threads * m.thread_sums);
        m.published = scratch.take<T>(threads * m.thread_published);
        return m;
    }
};

// Normalisation in one thread.
template <class T>
class Norm {
    static constexpr long W = lanes<T>;
    static constexpr T epsilon = T(1e-5);

  public:
    Norm(const NormMemory<T>& memory, const Team& team, long thread, long parts)
        : m_(memory), thread_(thread), first_(thread - team.member(thread)), members_(team.members),
          vectors_(memory.sums + thread * memory.thread_sums), shift_(vectors_ + parts * memory.rows * 2 * W),
          mean_(shift_ + parts * memory.rows), scale_(mean_ + parts * memory.rows),
          factor_(scale_ + parts * memory.rows) {}

    // A row whose sums overflow is multiplied by this factor and added up again. Its normalised values stay the same,
    // as ε is negligible beside its variance.
    static constexpr T smaller = sizeof(T) == 4 ? T(0x1p-80) : T(0x1p-600);

    // Forward: adds vectors of row r; of vector n the first lanes_of(n) lanes count. `begins`: these are the row's
    // first vectors. Their mean is the shift, and the sums are of differences from it. So mean(d²) - mean(d)² loses
    // few digits: if the row has k times as many vectors as came first, the loss is at most a factor of k in the
    // relative error.
    template <class Lanes>
    HF_INLINE void add(long part, long r, bool begins, const T* v, long vectors, Lanes lanes_of) {
        const long at = part * m_.rows + r;
        T* sums = vectors_ + at * 2 * W;
        Vec<T> sum{}, squares{};
        if (begins) {
            Vec<T> total{};
            long count = 0;
            for (long n = 0; n < vectors; n++) {
                const long units = lanes_of(n);
                total = total + (units >= W ? load<T>(v + n * W) : only<T>(load<T>(v + n * W), units));
                count += units;
            }
            shift_[at] = sum_of_lanes<T>(total) / T(count);
        } else {
            sum = load<T>(sums);
            squares = load<T>(sums + W);
        }
        const Vec<T> shift = all<T>(shift_[at]);
        for (long n = 0; n < vectors; n++) {
            const long units = lanes_of(n);
            Vec<T> d = load<T>(v + n * W) - shift;
            if (units < W) d = only<T>(d, units);
            sum = sum + d;
            squares = squares + d * d;
        }
        store<T>(sums, sum);
        store<T>(sums + W, squares);
    }

    // Publishes this thread's count, mean and sum of squares of a part: `count` values of each of `rows` rows.
    void publish(long part, long rows, long count) {
        for (long r = 0; r < rows; r++) {
            const long at = part * m_.rows + r;
            T* to = m_.published + thread_ * m_.thread_published + at * 3;
            to[0] = T(count);
            if (!count) continue;
            const T sum = sum_of_lanes<T>(load<T>(vectors_ + at * 2 * W)), n = T(count);
            const T squares = sum_of_lanes<T>(load<T>(vectors_ + at * 2 * W + W));
            const T rest = squares - sum * (sum / n);
            to[1] = shift_[at] + sum / n;
            to[2] = rest < 0 ? T(0) : rest;
        }
    }

    // The mean and 1 / sqrt(var + ε) of whole rows, from what all threads published. Returns whether the sums of a row
    // overflowed. `again`: the second time, after such rows were multiplied by `smaller`.
    bool collect(long part, long rows, bool again) {
        bool any = false;
        for (long r = 0; r < rows; r++) {
            const long at = part * m_.rows + r;
            T count = 0, sum = 0, squares = 0;
            for (long k = 0; k < members_; k++)
                if (const T* other = published_by(k, at); other[0] > 0) {
                    count += other[0];
                    sum += other[0] * other[1];
                }
            const T mean = sum / count;
            for (long k = 0; k < members_; k++)
                if (const T* other = published_by(k, at); other[0] > 0)
                    squares += other[2] + other[0] * (other[1] - mean) * (other[1] - mean);
            if (!again) factor_[at] = std::isfinite(squares) ? T(1) : smaller;
            any |= overflowed(part, r);
            const T least = overflowed(part, r) ? std::numeric_limits<T>::min() : epsilon;
            mean_[at] = mean;
            scale_[at] = T(1) / std::sqrt(squares / count + least);
        }
        return any;
    }
    bool overflowed(long part, long r) const { return factor_[part * m_.rows + r] != 1; }
    HF_INLINE Vec<T> normalised(long part, long r, Vec<T> a) const {
        const long at = part * m_.rows + r;
        return (a - mean_[at]) * scale_[at];
    }
    // 1 / sqrt(var + ε) of the row before it was multiplied by `smaller`.
    T scale(long part, long r) const { return scale_[part * m_.rows + r] * factor_[part * m_.rows + r]; }

    // Backward: from the gradients d of the normalised values y, da = (d - mean(d) - y mean(d y)) / sqrt(var + ε).
    void begin_gradients(long part, long rows) {
        std::fill_n(vectors_ + part * m_.rows * 2 * W, rows * 2 * W, T(0));
    }
    HF_INLINE void add_gradient(long part, long r, Vec<T> d, Vec<T> d_times_y) {
        T* sums = vectors_ + (part * m_.rows + r) * 2 * W;
        store<T>(sums, load<T>(sums) + d);
        store<T>(sums + W, load<T>(sums + W) + d_times_y);
    }
    void publish_gradients(long part, long rows) {
        for (long r = 0; r < rows; r++) {
            const long at = part * m_.rows + r;
            T* to = m_.published + thread_ * m_.thread_published + at * 3;
            for (int k = 0; k < 2; k++) to[k] = sum_of_lanes<T>(load<T>(vectors_ + (at * 2 + k) * W));
        }
    }
    // `count`: values of a whole row. scales: 1 / sqrt(var + ε) of forward, `stride` values apart from row to row.
    void collect_gradients(long part, long rows, long count, const T* scales, long stride) {
        for (long r = 0; r < rows; r++) {
            const long at = part * m_.rows + r;
            T sum = 0, products = 0;
            for (long k = 0; k < members_; k++) {
                sum += published_by(k, at)[0];
                products += published_by(k, at)[1];
            }
            mean_[at] = sum / T(count);
            shift_[at] = products / T(count);
            scale_[at] = scales[r * stride];
        }
    }
    HF_INLINE Vec<T> gradient(long part, long r, Vec<T> d, Vec<T> y) const {
        const long at = part * m_.rows + r;
        return (d - mean_[at] - y * shift_[at]) * scale_[at];
    }

  private:
    const T* published_by(long member, long at) const {
        return m_.published + (first_ + member) * m_.thread_published + at * 3;
    }

    const NormMemory<T>& m_;
    long thread_, first_, members_;
    // [parts][rows], and in vectors_ two vectors for each. In backward, mean_ is mean(d) and shift_ is mean(d y).
    T *vectors_, *shift_, *mean_, *scale_, *factor_;
};

}  // namespace holdfast::HOLDFAST_ISA
