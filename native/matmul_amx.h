// The functions of matmul.h and matmul_bf16.h on the tiles of AMX. Their arguments are the same.
#pragma once

#include "matmul.h"

namespace holdfast::HOLDFAST_ISA {

#if defined(HOLDFAST_AMX)

template <class T, int N, bool apart>
void sum_on_tiles(const TileSum<T>& s, long rows, T* out) {
    auto column = [&](int n) { return n + 1 == N ? s.last : n * lanes<T>; };
    TileSums<N> sums(rows);
    sums.load(s.from, s.ld_from, column);
    for (long k = 0; k < s.count; k++) {
        const Factors<T>& f = s.products[k];
        sums.add({f.A, f.lda, 32, apart && k == 0 ? f.apart : 0}, f.B, f.K);
    }
    sums.store(out, s.ld_out, column);
}

template <class T, int N>
void transposed_on_tiles(const Operand<T>* g, const Slots& slots, long rows, const Operand<T>* B, bool begins,
                         const Operand<T>* /* ahead */, T* out) {
    auto column = [](int n) { return n * lanes<T>; };
    TileSums<N> sums(rows);
    begins ? sums.clear() : sums.load(out, N * lanes<T>, column);
    over_slots<T, N>(g, slots, B, [&](const Operand<T>* values, const Operand<T>* b, long count) {
        sums.add({values, slots.row}, b, count);
    });
    sums.store(out, N * lanes<T>, column);
}

// `left` was rearranged by put_pairs_in_tiles.
template <class T, int M, int N, int NB, int last>
void outer_on_tiles(const Bfloat16* left, const Bfloat16* right, long pairs, bool begins, T* out) {
    auto column = [](int n) { return n * lanes<T>; };
    TileSums<N> sums(M);
    begins ? sums.clear() : sums.load(out, N * lanes<T>, column);
    sums.template add<NB, last>({left, 32, 32 * M}, right, 2 * pairs);
    sums.store(out, N * lanes<T>, column);
}

#endif

// The function for a tile of these sizes: on the tiles of AMX, for any number of rows, or in registers.
template <class T, int M, int N, bool apart>
constexpr auto sum_function() {
#if defined(HOLDFAST_AMX)
    return sum_on_tiles<T, N, apart>;
#else
    return sum_tile<T, M, N, apart>;
#endif
}
template <class T, int M, int N>
constexpr auto transposed_function() {
#if defined(HOLDFAST_AMX)
    return transposed_on_tiles<T, N>;
#else
    return transposed_tile<T, M, N>;
#endif
}
template <class T, int M, int N, int NB, int last>
constexpr auto outer_function() {
#if defined(HOLDFAST_AMX)
    return outer_on_tiles<T, M, N, NB, last>;
#else
    return outer_tile_of_pairs<T, M, N, NB, last>;
#endif
}

}  // namespace holdfast::HOLDFAST_ISA
