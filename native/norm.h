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

// The same sums, in the same order, of the vectors of W rows, which are `stride` values apart: one per lane.
template <class T>
HF_INLINE Vec<T> sums_of_rows(const T* first, long stride) {
    constexpr int W = lanes<T>;
    Vec<T> v[W];
#pragma GCC unroll 16
    for (int k = 0; k < W; k++) v[k] = load<T>(first + k * stride);
    transpose_lanes<T>(v);
#pragma GCC unroll 8
    for (int half = W / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int k = 0; k < half; k++) v[k] = v[k] + v[k + half];
    return v[0];
}

// The memory of a call. `rows` is the rows of a group, rounded up to whole vectors.
template <class T>
struct NormMemory {
    T *sums, *published;
    long rows, thread_sums, thread_published;

    static NormMemory take(Scratch& scratch, long threads, long parts, long rows) {
        NormMemory m{};
        m.rows = (rows + lanes<T> - 1) / lanes<T> * lanes<T>;
        m.thread_sums = padded_stride(parts * m.rows * (2 * lanes<T> + 4), lanes<T>);
        m.thread_published = padded_stride(parts * m.rows * 3, 64 / sizeof(T));
        m.sums = scratch.take<T>(threads * m.thread_sums);
        m.published = scratch.take<T>(threads * m.thread_published);
        return m;
    }
};

// A row's mean and 1 / sqrt(var + ε), in all lanes.
template <class T>
struct Normal {
    Vec<T> mean, scale;
    HF_INLINE Vec<T> operator()(Vec<T> a) const { return (a - mean) * scale; }
};
// The same for the gradients: the mean of d, of d y, and 1 / sqrt(var + ε).
template <class T>
struct NormalGradient {
    Vec<T> mean, products, scale;
    HF_INLINE Vec<T> operator()(Vec<T> d, Vec<T> y) const { return (d - mean - y * products) * scale; }
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
#pragma GCC unroll 4
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
#pragma GCC unroll 4
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
        const Vec<T> n = all<T>(T(count));
        for (long r = 0; r < rows; r += W) {
            const long at = part * m_.rows + r;
            T* to = published_by(thread_ - first_, part, r);
            store<T>(to, n);
            if (!count) continue;
            const Vec<T> sum = sums_of_rows<T>(vectors_ + at * 2 * W, 2 * W);
            const Vec<T> squares = sums_of_rows<T>(vectors_ + at * 2 * W + W, 2 * W);
            const Vec<T> rest = squares - sum * (sum / n);
            store<T>(to + m_.rows, load<T>(shift_ + at) + sum / n);
            store<T>(to + 2 * m_.rows, rest < T(0) ? Vec<T>{} : rest);
        }
    }

    // The mean and 1 / sqrt(var + ε) of whole rows, from what all threads published. Returns whether the sums of a row
    // overflowed. `again`: the second time, after such rows were multiplied by `smaller`.
    bool collect(long part, long rows, bool again) {
        const Vec<T> one = all<T>(1), low = all<T>(smaller);
        typename Types<T>::Mask any{};
        for (long r = 0; r < rows; r += W) {
            const long at = part * m_.rows + r;
            T count = 0;
            Vec<T> sum{}, squares{};
            for (long k = 0; k < members_; k++)
                if (const T* other = published_by(k, part, r); other[0] > 0) {
                    count += other[0];
                    sum = sum + other[0] * load<T>(other + m_.rows);
                }
            const Vec<T> mean = sum / count;
            for (long k = 0; k < members_; k++)
                if (const T* other = published_by(k, part, r); other[0] > 0) {
                    const Vec<T> d = load<T>(other + m_.rows) - mean;
                    squares = squares + (load<T>(other + 2 * m_.rows) + other[0] * d * d);
                }
            if (!again) store<T>(factor_ + at, abs<T>(squares) <= std::numeric_limits<T>::max() ? one : low);
            const auto over = load<T>(factor_ + at) != one;
            any |= over & first_lanes<T>(rows - r);
            const Vec<T> least = over ? all<T>(std::numeric_limits<T>::min()) : all<T>(epsilon);
            store<T>(mean_ + at, mean);
            store<T>(scale_ + at, one / square_root<T>(squares / count + least));
        }
        bool result = false;
        for (long k = 0; k < W; k++) result |= any[k] != 0;
        return result;
    }
    bool overflowed(long part, long r) const { return factor_[part * m_.rows + r] != 1; }
    HF_INLINE Normal<T> normal(long part, long r) const {
        const long at = part * m_.rows + r;
        return {all<T>(mean_[at]), all<T>(scale_[at])};
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
        for (long r = 0; r < rows; r += W)
            for (int k = 0; k < 2; k++)
                store<T>(published_by(thread_ - first_, part, r) + k * m_.rows,
                         sums_of_rows<T>(vectors_ + ((part * m_.rows + r) * 2 + k) * W, 2 * W));
    }
    // `count`: values of a whole row. scales: 1 / sqrt(var + ε) of forward, `stride` values apart from row to row.
    void collect_gradients(long part, long rows, long count, const T* scales, long stride) {
        for (long r = 0; r < rows; r += W) {
            const long at = part * m_.rows + r;
            Vec<T> sum{}, products{};
            for (long k = 0; k < members_; k++) {
                const T* other = published_by(k, part, r);
                sum = sum + load<T>(other);
                products = products + load<T>(other + m_.rows);
            }
            store<T>(mean_ + at, sum / T(count));
            store<T>(shift_ + at, products / T(count));
        }
        for (long r = 0; r < rows; r++) scale_[part * m_.rows + r] = scales[r * stride];
    }
    HF_INLINE NormalGradient<T> normal_gradient(long part, long r) const {
        const long at = part * m_.rows + r;
        return {all<T>(mean_[at]), all<T>(shift_[at]), all<T>(scale_[at])};
    }

  private:
    // [parts][3][rows]: forward publishes counts, means and sums of squares.
    T* published_by(long member, long part, long r) const {
        return m_.published + (first_ + member) * m_.thread_published + part * 3 * m_.rows + r;
    }

    const NormMemory<T>& m_;
    long thread_, first_, members_;
    // [parts][rows], and in vectors_ two vectors for each. In backward, mean_ is mean(d) and shift_ is mean(d y).
    T *vectors_, *shift_, *mean_, *scale_, *factor_;
};

}  // namespace holdfast::HOLDFAST_ISA
