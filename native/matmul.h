// Matrix products on register tiles: rows of A, in place, times panels of B, packed so that each step of the sum reads
// its columns from one place.
//
// A tile is M rows by N vectors of columns and stays in registers over the whole sum. Only the functions here hold a
// tile in registers; they are compiled once per size and shared by all cells.
#pragma once

#include <array>
#include <utility>

#include "amx.h"
#include "matmul_bf16.h"
#include "operand.h"

namespace holdfast::HOLDFAST_ISA {

// Rows of a tile of N vectors: as many as the registers hold beside the N vectors of B and one value of A. AVX-512 and
// NEON have 32 registers, the others 16. On the tiles of AMX: as many as those have.
template <class T, int N>
constexpr int tile_rows = on_tiles<T>                                      ? rows_of_tiles
                          : Types<T>::bytes == 64 || Types<T>::bytes == 16 ? (N >= 4 ? 6 : 8)
                          : Types<T>::bytes == 32                          ? (N >= 4 ? 3 : N == 3 ? 4 : 6)
                                                                           : (N >= 4 ? 4 : 6);
// The same where the weights come from far away: the more rows, the fewer times they are read.
template <class T, int N>
constexpr int far_tile_rows = !on_tiles<T> && Types<T>::bytes == 64 && N == 2 ? 12 : tile_rows<T, N>;

// acc[m][column of n] += sum over k of A[m * lda + k] * B[k * NB * W + n * W ...]. The column of n is n, but `last`
// for the last vector of B: the GRU's candidate has one column for its x product and one for its h product.
template <class T, int M, int N, int NB, int last, class F = NothingAhead>
HF_INLINE void accumulate(Vec<T> (&acc)[M][N], const T* A, long lda, const T* B, long K, F ahead = {}) {
    constexpr long W = lanes<T>;
    for (long k = 0; k < K; k++, B += NB * W) {
        ahead(k);
        Vec<T> b[NB];
#pragma GCC unroll 4
        for (int n = 0; n < NB; n++) b[n] = load<T>(B + n * W);
#pragma GCC unroll 12
        for (int m = 0; m < M; m++) {
            const Vec<T> a = all<T>(A[m * lda + k]);
#pragma GCC unroll 4
            for (int n = 0; n < NB; n++) acc[m][n + 1 == NB ? last : n] += a * b[n];
        }
    }
}

// The same where each vector of B has its own rows of A, `apart` values behind the rows of the vector before.
template <class T, int M, int N, int NB, int last>
HF_INLINE void accumulate_apart(Vec<T> (&acc)[M][N], const T* A, long lda, long apart, const T* B, long K) {
    constexpr long W = lanes<T>;
    for (long k = 0; k < K; k++, B += NB * W)
#pragma GCC unroll 4
        for (int n = 0; n < NB; n++) {
            const Vec<T> b = load<T>(B + n * W);
#pragma GCC unroll 12
            for (int m = 0; m < M; m++) acc[m][n + 1 == NB ? last : n] += all<T>(A[n * apart + m * lda + k]) * b;
        }
}

// The same for two panels of B, `next` values apart.
template <class T, int M, int N>
HF_INLINE void accumulate_both(Vec<T> (&acc)[M][2 * N], const T* A, long lda, const T* B, long next, long K) {
    constexpr long W = lanes<T>;
    for (long k = 0; k < K; k++, B += N * W) {
        Vec<T> b[2 * N];
#pragma GCC unroll 4
        for (int n = 0; n < 2 * N; n++) b[n] = load<T>(B + n / N * next + n % N * W);
#pragma GCC unroll 12
        for (int m = 0; m < M; m++) {
            const Vec<T> a = all<T>(A[m * lda + k]);
#pragma GCC unroll 4
            for (int n = 0; n < 2 * N; n++) acc[m][n] += a * b[n];
        }
    }
}

// The two operands of a product: rows of A and a packed panel of B, with K steps. `apart`: as in accumulate_apart.
// `ahead`: what to ask for during the product, a line of the cache at each step (in pairs: at each pair); may be null.
template <class T>
struct Factors {
    const Operand<T>* A;
    long lda;
    const Operand<T>* B;
    long K, apart = 0;
    const Operand<T>* ahead = nullptr;
};

// What the tiles of a panel add up: `from` and `count` products. Rows of `from` are `ld_from` values apart (0: one row
// for all), and rows of the sums `ld_out`. The last column is `last` values behind the first, in `from` and in the
// sums.
template <class T>
struct TileSum {
    const T* from;
    long ld_from, ld_out, last, next;  // next: from a panel of B to the next one
    long count;
    Factors<T> products[2];

    // Moves on to the tile after `rows` rows. `more`: whether there is more to ask for.
    HF_INLINE void skip(long rows, bool more) {
        from += rows * ld_from;
        for (Factors<T>& f : products) {
            f.A += rows * f.lda;
            if (f.ahead) f.ahead = more ? f.ahead + f.K / pair<T> * (64 / long(sizeof(Operand<T>))) : nullptr;
        }
    }
};

// out[m][column of n] = from[m][column of n] + the products, for M rows and N columns. `apart`: in the first
// product each column has rows of A of its own. The number of rows, M, is an argument too, for matmul_amx.h.
template <class T, int M, int N, bool apart>
__attribute__((noinline)) void sum_tile(const TileSum<T>& s, long /* rows */, T* out) {
    constexpr long W = lanes<T>;
    auto column = [&](int n) { return n + 1 == N ? s.last : n * W; };
    Vec<T> acc[M][N];
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) acc[m][n] = load<T>(s.from + m * s.ld_from + column(n));
    for (long k = 0; k < s.count; k++) {
        const Factors<T>& f = s.products[k];
        if (apart && k == 0)
            accumulate_apart<T, M, N, N, N - 1>(acc, f.A, f.lda, f.apart, f.B, f.K);
        else if (f.ahead)
            accumulate<T, M, N, N, N - 1>(acc, f.A, f.lda, f.B, f.K, Ahead{f.ahead});
        else
            accumulate<T, M, N, N, N - 1>(acc, f.A, f.lda, f.B, f.K);
    }
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) store<T>(out + m * s.ld_out + column(n), acc[m][n]);
}

// The same for two panels of N columns at once, whose 2 N columns are contiguous in `from` and in the sums. For few
// rows: N columns alone have too few chains of additions.
template <class T, int M, int N>
__attribute__((noinline)) void sum_tile_of_both(const TileSum<T>& s, long /* rows */, T* out) {
    constexpr long W = lanes<T>;
    Vec<T> acc[M][2 * N];
#pragma GCC unroll 4
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < 2 * N; n++) acc[m][n] = load<T>(s.from + m * s.ld_from + n * W);
    for (long k = 0; k < s.count; k++) {
        const Factors<T>& f = s.products[k];
        accumulate_both<T, M, N>(acc, f.A, f.lda, f.B, s.next, f.K);
    }
#pragma GCC unroll 4
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < 2 * N; n++) store<T>(out + m * s.ld_out + n * W, acc[m][n]);
}

// The gates' gradients that a transposed product reads. A row has `row` values; of each it reads the first `head`
// vectors and, after `skip` vectors, `tail` more. There are `panels` such rows, `stride` values apart. In the last
// panel only the first `lanes` values of a vector are units, if a vector is all of a panel's units; otherwise the
// padding is read too.
struct Slots {
    long row, head, skip, tail, stride, panels, lanes;

    // Steps of the sum over all panels, which is how many the packed weights have.
    template <class T>
    long size(long W) const {
        return (head + tail) * ((panels - 1) * W + whole<T>(lanes));
    }
    // `count` of the panels, from panel `begin` on, or as many as there are.
    Slots part(long begin, long count, long W) const {
        Slots some = *this;
        if (begin + count < panels) some.lanes = W;
        some.panels = std::min(count, panels - begin);
        return some;
    }
};

// Calls add(values, B, count) for the values of each of the slots that a product with N vectors of outputs reads. Slots
// without padding between them are read together.
template <class T, int N, class Add>
HF_INLINE void over_slots(const Operand<T>* g, const Slots& slots, const Operand<T>* B, Add add) {
    constexpr long W = lanes<T>;
    const Slots s = slots;
    for (long p = 0; p < s.panels; p++, g += s.stride) {
        const bool full = p + 1 < s.panels || s.lanes == W;
        for (long slot = 0; slot < s.head + s.tail;) {
            const bool is_head = slot < s.head;
            const long vectors = !full ? 1 : is_head ? s.head : s.tail, count = full ? vectors * W : s.lanes;
            add(g + (is_head ? slot : slot + s.skip) * W, B, count);
            B += whole<T>(count) * N * W;
            slot += vectors;
        }
    }
}

// sums[m][n] += sum over the panels of gates. `begins`: the sums are 0 so far, and are not read. `ahead`: what to ask
// for during the sum, a line of the cache at each step (in pairs: at each pair); may be null.
template <class T, int M, int N>
void transposed_tile(const Operand<T>* g, const Slots& slots, long /* rows */, const Operand<T>* B, bool begins,
                     const Operand<T>* ahead, T* sums) {
    constexpr long W = lanes<T>;
    Vec<T> acc[M][N];
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) acc[m][n] = begins ? Vec<T>{} : load<T>(sums + (m * N + n) * W);
    auto add = [&](const Operand<T>* values, const Operand<T>* b, long count) __attribute__((always_inline)) {
        if (ahead) {
            accumulate<T, M, N, N, N - 1>(acc, values, slots.row, b, count, Ahead{ahead});
            ahead += count / pair<T> * (64 / long(sizeof(Operand<T>)));
        } else {
            accumulate<T, M, N, N, N - 1>(acc, values, slots.row, b, count);
        }
    };
    over_slots<T, N>(g, slots, B, add);
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) store<T>(sums + (m * N + n) * W, acc[m][n]);
}

// Contiguous rows: `rows` of them, at least one, from value `at` on.
struct Stretch {
    long at, rows;
};

// sums[m][n] += sum over all rows of the stretches of left[row][m] * g[row * ldg + column of n]. `left` has M values
// per row, and its rows are those of all stretches in turn. There is at least one. `begins`: as in transposed_tile.
// Asks for the same number of sums behind these, which come next.
template <class T, int M, int N, int last>
void outer_tile(const T* left, const Stretch* stretches, long count, const T* g, long ldg, bool begins, T* sums) {
    constexpr long W = lanes<T>;
    Vec<T> acc[M][N];
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) acc[m][n] = begins ? Vec<T>{} : load<T>(sums + (m * N + n) * W);
    const Stretch* const end = stretches + count;
    const T *ahead = sums + M * N * W, *const ahead_end = ahead + M * N * W;
    do {
        const T *from = g + stretches->at, *const stop = from + stretches->rows * ldg;
        do {
            Vec<T> b[N];
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) b[n] = load<T>(from + (n + 1 == N ? last : n) * W);
#pragma GCC unroll 12
            for (int m = 0; m < M; m++) {
                const Vec<T> v = all<T>(left[m]);
#pragma GCC unroll 4
                for (int n = 0; n < N; n++) acc[m][n] += v * b[n];
            }
            if (ahead < ahead_end) {
                __builtin_prefetch(ahead);
                ahead += 64 / long(sizeof(T));
            }
            left += M;
            from += ldg;
        } while (from != stop);
    } while (++stretches != end);
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) store<T>(sums + (m * N + n) * W, acc[m][n]);
}

// The number of panels of 4 vectors for `values` values.
inline long panels_of_4(long values, long W) { return (values + 4 * W - 1) / (4 * W); }

// A table of make(1), ..., make(most). `make` takes the rows of a tile as an integral_constant.
template <int most, class Make>
constexpr auto by_rows(Make make) {
    return [&]<int... m>(std::integer_sequence<int, m...>) {
        return std::array{make(std::integral_constant<int, m + 1>{})...};
    }(std::make_integer_sequence<int, most>{});
}

// Calls f(rows of the tile, first row) for `rows` rows in tiles of at most `most`, without a tiny last tile.
template <class F>
HF_INLINE void over_rows(long rows, long most, F f) {
    for (long r = 0; r < rows;) {
        const long left = rows - r, m = left >= 2 * most || left <= most ? std::min(most, left) : (left + 1) / 2;
        f(m, r);
        r += m;
    }
}

}  // namespace holdfast::HOLDFAST_ISA
