// Products of rows with a whole matrix, packed for each panel of up to 4 vectors of outputs as [values][vectors].
#pragma once

#include "sequence.h"
#include "tiles.h"

namespace holdfast::HOLDFAST_ISA {

// Multiplies the values of `g` that `slots` names with `packed`. Calls take(row, first output, sum) for every row and
// every vector of outputs in the panels of `share`.
template <class T, class Take>
void times_transposed(const Operand<T>* g, const Slots& slots, long rows, const Operand<T>* packed, long outputs,
                      Share share, Take take) {
    constexpr long W = lanes<T>;
    constexpr auto times = by_rows<4>([](auto n) { return times_panel<T, n>; });
    const long vectors = (outputs + W - 1) / W, K = slots.size<T>(W);
    const bool far = share.size() * 4 * W * K * long(sizeof(Operand<T>)) > kept_weights();
    alignas(64) T sums[block_rows<T> * 4 * W];
    over_rows(rows, block_rows<T>, [&](long count, long first) __attribute__((always_inline)) {
        for (long q = share.begin * 4; q < std::min(vectors, share.end * 4); q += 4) {
            const long N = std::min(4L, vectors - q);
            times[N - 1](g + first * slots.row, slots, count, packed + q * K * W, far, sums);
            const T* sum = sums;
            for (long r = first; r < first + count; r++)
                for (long n = 0; n < N; n++, sum += W) take(r, (q + n) * W, load<T>(sum));
        }
    });
}

// A matrix in torch's layout, [rows, columns], for a product with rows of `values` values from the left; where the
// matrix has fewer, it is padded with zeros. `transposed`: its rows are the outputs, as in forward. `rounded`: to
// bfloat16.
template <class T>
struct Matrix {
    static constexpr long W = lanes<T>;
    const T* data;
    long rows, columns, values;
    bool transposed, rounded;

    long outputs() const { return transposed ? rows : columns; }
    long packed_size() const { return values * ((outputs() + W - 1) / W * W); }

    // Packs the panels of up to 4 vectors of outputs in `share`.
    void pack(Share share, T* out) const {
        const long vectors = (outputs() + W - 1) / W;
        for (long q = share.begin * 4; q < std::min(vectors, share.end * 4); q += 4) {
            const long n = std::min(4L, vectors - q);
            T* to = out + q * values * W;
            for (long k = 0; k < n; k++) {
                const long at = (q + k) * W, present = transposed ? columns : rows;
                if (transposed)
                    put_columns<T>(data + at * columns, columns, std::min(W, rows - at), columns, rounded, to + k * W,
                                   n * W);
                else
                    for (long v = 0; v < rows; v++)
                        put<T>(to + (v * n + k) * W, load_some<T>(data + v * columns + at, columns - at), rounded);
                for (long v = present; v < values; v++) store<T>(to + (v * n + k) * W, Vec<T>{});
            }
        }
    }
};

}  // namespace holdfast::HOLDFAST_ISA
