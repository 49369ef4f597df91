// Products of few rows with weights in torch's layout, where they are. Such a product reads every weight once per tile
// of rows. Packing the weights would take longer than the product itself.
//
// Rows of values are contiguous and `ld` values apart. A tile is M rows of the batch.
#pragma once

#include "matmul.h"
#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// The most rows of a tile: their sums stay in registers, of which AVX2 has half as many.
template <class T>
constexpr int in_place_rows = Types<T>::bytes == 32 ? 3 : 6;

// Adds up the lanes of n vectors, of which neighbours are `size` lanes apart: lane k of the result is the sum of
// vector k's lanes, or with n < W one of W / n parts of it, n lanes apart.
template <class T, int n, int size = 1>
HF_INLINE Vec<T> fold(const Vec<T>* v) {
    if constexpr (n == 1)
        return v[0];
    else {
        Vec<T> half[n / 2];
#pragma GCC unroll 8
        for (int k = 0; k < n / 2; k++) {
            Vec<T> a = v[2 * k], b = v[2 * k + 1];
            swap_blocks<T, size>(a, b, std::make_integer_sequence<int, lanes<T>>{});
            half[k] = a + b;
        }
        return fold<T, n / 2, 2 * size>(half);
    }
}

// Rows of weights, K values each, and the rows that they are multiplied with.
template <class T>
struct InPlace {
    const T* weight;
    long K;
    const T* rows;
    long ld;
};

// acc[r][m] += the products of row r of the weights with row m, lane by lane. The weights have `present` rows; past
// them the last one is read again.
template <class T, int R, int M>
HF_INLINE void accumulate_dots(Vec<T> (&acc)[R][M], const InPlace<T>& product, long first, long present, long m0) {
    constexpr long W = lanes<T>;
    const long K = product.K, ld = product.ld, ahead = R * K;
    const T *w[R], *a = product.rows + m0 * ld;
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) w[r] = product.weight + std::min(first + r, present - 1) * K;
    auto add = [&](long k, auto load_at) __attribute__((always_inline)) {
        Vec<T> v[M];
#pragma GCC unroll 8
        for (int m = 0; m < M; m++) v[m] = load_at(a + m * ld + k);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const Vec<T> weight = load_at(w[r] + k);
#pragma GCC unroll 8
            for (int m = 0; m < M; m++) acc[r][m] = multiply_add<T>(weight, v[m], acc[r][m]);
        }
    };
    long k = 0;
    for (; k + W <= K; k += W) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) __builtin_prefetch(w[r] + ahead + k);  // the rows of the next tile
        add(k, [](const T* p) __attribute__((always_inline)) { return load<T>(p); });
    }
    if (k < K) add(k, [&](const T* p) __attribute__((always_inline)) { return load_some<T>(p, K - k); });
}

// out[m] = start + a vector of sums for each of M rows from m0 on: lane k adds up the products of row k of the weights.
// Lanes past the first `present` are those of `start`.
template <class T, int M>
void dots(const InPlace<T>* products, int count, long present, long m0, Vec<T> start, T* out, long ld_out) {
    constexpr bool many_sums = M == 1 || (M == 2 && Types<T>::bytes != 32);
    constexpr int W = lanes<T>, R = std::min(W, many_sums ? 8 : 4);
    Vec<T> part[M][W / R];
    for (int tile = 0; tile < W / R; tile++) {
        Vec<T> acc[R][M] = {};
        if (tile * R < present)
            for (int k = 0; k < count; k++) accumulate_dots<T, R, M>(acc, products[k], tile * R, present, m0);
#pragma GCC unroll 8
        for (int m = 0; m < M; m++) {
            Vec<T> of_row[R];
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) of_row[r] = acc[r][m];
            part[m][tile] = fold<T, R>(of_row);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; m++)
        store<T>(out + m * ld_out, start + only<T>(fold<T, W / R, R>(part[m]), present));
}

// Gradients of sums, `ld` values from row to row: value `at + k` of a row belongs to row `first + k` of the weights.
template <class T>
struct Stripe {
    const T* data;
    long ld, first, count;
};

// out[m] += the gradients of each of M rows times N vectors of columns of the weights; `columns` of them are present.
// With `adds` false, `=`.
template <class T, int M, int N>
void times_weights_tile(const Stripe<T>* stripes, int count, const T* weight, long ldw, long columns, bool adds,
                        T* out, long ld_out) {
    constexpr long W = lanes<T>, ahead = 8;
    const long last = columns - (N - 1) * W;  // of the last vector
    Vec<T> acc[M][N] = {};
    for (int s = 0; s < count; s++) {
        const auto [d, ld, first, rows] = stripes[s];
        const T* w = weight + first * ldw;
        for (long k = 0; k < rows; k++, w += ldw) {
            Vec<T> v[N];
#pragma GCC unroll 8
            for (int n = 0; n < N; n++) {
                __builtin_prefetch(w + ahead * ldw + n * W);
                v[n] = n + 1 < N ? load<T>(w + n * W) : load_some<T>(w + n * W, last);
            }
#pragma GCC unroll 8
            for (int m = 0; m < M; m++) {
                const Vec<T> a = all<T>(d[m * ld + k]);
#pragma GCC unroll 8
                for (int n = 0; n < N; n++) acc[m][n] = multiply_add<T>(a, v[n], acc[m][n]);
            }
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; m++)
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) {
            T* to = out + m * ld_out + n * W;
            const long left = n + 1 < N ? W : last;
            store_some<T>(to, adds ? load_some<T>(to, left) + acc[m][n] : acc[m][n], left);
        }
}

// The same for M rows and the columns in a share, which counts vectors.
template <class T, int M>
void times_weights_of(const Stripe<T>* stripes, int count, const T* weight, long columns, Share share, bool adds,
                      T* out, long ld_out) {
    constexpr int W = lanes<T>, most = M == 1 ? 8 : Types<T>::bytes == 32 ? 3 : 4;
    constexpr auto tiles = by_rows<most>([](auto n) { return times_weights_tile<T, M, n>; });
    const long end = std::min(columns, share.end * W);
    for (long k = share.begin * W; k < end; k += most * W)
        tiles[std::min<long>(most, (end - k + W - 1) / W) - 1](stripes, count, weight + k, columns, end - k, adds,
                                                               out + k, ld_out);
}

// The same for all rows.
template <class T>
void times_weights(Stripe<T>* stripes, int count, long rows, const T* weight, long columns, Share share, bool adds,
                   T* out, long ld_out) {
    constexpr auto of_rows = by_rows<Types<T>::bytes == 32 ? 4 : 6>([](auto m) { return times_weights_of<T, m>; });
    over_rows(rows, of_rows.size(), [&](long m, long at) {
        of_rows[m - 1](stripes, count, weight, columns, share, adds, out + at * ld_out, ld_out);
        for (int s = 0; s < count; s++) stripes[s].data += m * stripes[s].ld;
    });
}

// The gradients of R rows of the weights and N vectors of columns, of which `columns` are present: the sums over all
// rows of the batch of the rows' gradients `d` times the values x.
template <class T, int R, int N>
void weight_gradients_tile(const T* d, long ld, const T* x, long ldx, long rows, long columns, T* out, long ld_out) {
    constexpr long W = lanes<T>;
    const long last = columns - (N - 1) * W;
    Vec<T> acc[R][N] = {};
    for (long b = 0; b < rows; b++, d += ld, x += ldx) {
        Vec<T> v[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) v[n] = n + 1 < N ? load<T>(x + n * W) : load_some<T>(x + n * W, last);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            const Vec<T> a = all<T>(d[r]);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) acc[r][n] = multiply_add<T>(a, v[n], acc[r][n]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) store_some<T>(out + r * ld_out + n * W, acc[r][n], n + 1 < N ? W : last);
}

// The same for the rows of the weights in a stripe and all columns.
template <class T>
void weight_gradients_in_place(const Stripe<T>& stripe, const T* x, long ldx, long rows, long columns, T* out) {
    constexpr int W = lanes<T>, most = Types<T>::bytes == 32 ? 3 : 4, R = 4;
    constexpr auto tiles = by_rows<most>([](auto n) { return weight_gradients_tile<T, R, n>; });
    constexpr auto tiles_of_one = by_rows<most>([](auto n) { return weight_gradients_tile<T, 1, n>; });
    for (long r = 0; r < stripe.count;) {
        const bool whole = r + R <= stripe.count;
        for (long k = 0; k < columns; k += most * W) {
            const long n = std::min<long>(most, (columns - k + W - 1) / W);
            (whole ? tiles : tiles_of_one)[n - 1](stripe.data + r, stripe.ld, x + k, ldx, rows, columns - k,
                                                  out + (stripe.first + r) * columns + k, columns);
        }
        r += whole ? R : 1;
    }
}

}  // namespace holdfast::HOLDFAST_ISA
