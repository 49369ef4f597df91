// The functions of matmul.h for operands in bfloat16 (operand.h), by the processor's dot product.
#pragma once

#include "ahead.h"
#include "operand.h"

namespace holdfast::HOLDFAST_ISA {

// sums[m][n] += sum over `pairs` pairs of rows of left[pair][m] * right[pair][column of n]. A pair of `right` has NB
// vectors, in which the values of its two rows alternate. `begins`: the sums are 0 so far, and are not read.
template <class T, int M, int N, int NB, int last>
void outer_tile_of_pairs(const Bfloat16* left, const Bfloat16* right, long pairs, bool begins, T* sums);

#if defined(HOLDFAST_BF16)

// acc[m][column of n] += the products of one pair of steps: pair_of(m) of row m times the NB vectors of pairs in b.
template <int M, int N, int NB, int last, class PairOf>
HF_INLINE void add_pair(Vec<float> (&acc)[M][N], PairOf pair_of, const Pairs (&b)[NB]) {
#pragma GCC unroll 12
    for (int m = 0; m < M; m++) {
        const __m512bh a = (__m512bh)_mm512_set1_epi32(pair_of(m));
#pragma GCC unroll 4
        for (int n = 0; n < NB; n++) {
            Vec<float>& sum = acc[m][n + 1 == NB ? last : n];
            sum = (Vec<float>)_mm512_dpbf16_ps((__m512)sum, a, (__m512bh)b[n]);
        }
    }
}

HF_INLINE std::int32_t pair_at(const Bfloat16* p) {
    std::int32_t two;
    std::memcpy(&two, p, sizeof two);
    return two;
}

// As accumulate of matmul.h. If K is odd, the second step of B's last pair is 0; A has no such step, and none is read.
template <class T, int M, int N, int NB, int last, class F = NothingAhead>
HF_INLINE void accumulate(Vec<T> (&acc)[M][N], const Bfloat16* A, long lda, const Bfloat16* B, long K, F ahead = {}) {
    auto add = [&](auto pair_of) {
        Pairs b[NB];
#pragma GCC unroll 4
        for (int n = 0; n < NB; n++) b[n] = _mm512_loadu_si512(B + n * 2 * lanes<T>);
        add_pair<M, N, NB, last>(acc, pair_of, b);
        B += NB * 2 * lanes<T>;
    };
    for (long k = 0; k + 1 < K; k += 2) {
        ahead(k / 2);
        add([&](int m) { return pair_at(A + m * lda + k); });
    }
    if (K % 2) add([&](int m) { return std::int32_t(A[m * lda + K - 1].bits); });
}

// As accumulate_apart of matmul.h.
template <class T, int M, int N, int NB, int last>
HF_INLINE void accumulate_apart(Vec<T> (&acc)[M][N], const Bfloat16* A, long lda, long apart, const Bfloat16* B,
                                long K) {
    auto add = [&](auto pair_of) {
#pragma GCC unroll 4
        for (int n = 0; n < NB; n++) {
            const __m512bh b = (__m512bh)_mm512_loadu_si512(B + n * 2 * lanes<T>);
#pragma GCC unroll 12
            for (int m = 0; m < M; m++) {
                Vec<float>& sum = acc[m][n + 1 == NB ? last : n];
                const __m512bh a = (__m512bh)_mm512_set1_epi32(pair_of(A + n * apart + m * lda));
                sum = (Vec<float>)_mm512_dpbf16_ps((__m512)sum, a, b);
            }
        }
        B += NB * 2 * lanes<T>;
    };
    for (long k = 0; k + 1 < K; k += 2) add([&](const Bfloat16* row) { return pair_at(row + k); });
    if (K % 2) add([&](const Bfloat16* row) { return std::int32_t(row[K - 1].bits); });
}

template <class T, int M, int N, int NB, int last>
void outer_tile_of_pairs(const Bfloat16* left, const Bfloat16* right, long pairs, bool begins, T* sums) {
    constexpr long W = lanes<T>;
    Vec<T> acc[M][N];
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) acc[m][n] = begins ? Vec<T>{} : load<T>(sums + (m * N + n) * W);
    for (long r = 0; r < pairs; r++, left += 2 * M, right += 2 * NB * W) {
        Pairs b[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) b[n] = _mm512_loadu_si512(right + (n + 1 == N ? last : n) * 2 * W);
        add_pair<M, N, N, N - 1>(acc, [&](int m) { return pair_at(left + 2 * m); }, b);
    }
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) store<T>(sums + (m * N + n) * W, acc[m][n]);
}

#endif

}  // namespace holdfast::HOLDFAST_ISA
