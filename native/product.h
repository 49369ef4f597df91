// Products of rows with a whole matrix, packed for each panel of up to 4 vectors of outputs as [values][vectors].
#pragma once

#include "matmul_amx.h"
#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// A product reads the packed weights in blocks of this many bytes, each for all rows before the next: half of the
// smallest first-level cache among processors of our instruction sets, 32 KB. The other half is for the rows' values
// and sums. Without blocks, every tile of rows would read a whole panel from the second-level cache or from memory.
// Tiles are only in processors with 48 KB, and for them reading and writing the sums takes more of the time.
template <class T>
constexpr long block_bytes = on_tiles<T> ? 32 << 10 : 16 << 10;
// The most rows that are multiplied at once; a multiple of the rows of every tile.
template <class T>
constexpr long block_rows = on_tiles<T> ? 96 : 72;

// sums[r][n] = the product of the values of `g` that `slots` names with one packed panel of N vectors of outputs, for
// at most block_rows rows. `far`: the weights come from far away.
template <class T, int N>
void times_panel(const Operand<T>* g, const Slots& slots, long rows, const Operand<T>* packed, bool far, T* sums) {
    constexpr long W = lanes<T>, steps = block_bytes<T> / (N * W * long(sizeof(Operand<T>)));
    constexpr auto tiles = by_rows<tile_rows<T, N>>([](auto m) { return transposed_function<T, m, N>(); });
    [[maybe_unused]] const UsesTiles<T> tiles_in_use;
    const bool one_tile = rows <= long(tiles.size());
    const long panels = one_tile ? slots.panels : std::max(1L, steps / ((slots.head + slots.tail) * W));
    for (long p = 0; p < slots.panels; p += panels, g += panels * slots.stride) {
        const Slots block = slots.part(p, panels, W);
        const long values = block.template size<T>(W) * N * W, lines = values / N / W / pair<T>;
        const Operand<T>*next = packed + values, *ahead = far && !one_tile ? next : nullptr, *const end = next + values;
        over_rows(rows, tiles.size(), [&](long m, long r) __attribute__((always_inline)) {
            tiles[m - 1](g + r * slots.row, block, packed, p == 0, ahead, sums + r * N * W);
            if (ahead) ahead += lines * (64 / long(sizeof(Operand<T>)));
            if (ahead >= end) ahead = nullptr;
        });
        packed = next;
    }
}

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
