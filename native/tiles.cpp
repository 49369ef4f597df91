// The tiles of tiles.h, for one instruction set and type.
#include "tiles.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, int N, bool apart>
const std::array<SumTile<T>, far_tile_rows<T, N>> SumTiles<T, N, apart>::of_rows =
    by_rows<far_tile_rows<T, N>>([](auto m) { return sum_function<T, m, N, apart>(); });
template <class T, int N>
const std::array<SumTile<T>, rows_of_both<T, N>> SumTilesOfBoth<T, N>::of_rows =
    by_rows<rows_of_both<T, N>>([](auto m) { return sum_tile_of_both<T, m, N>; });

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
            tiles[m - 1](g + r * slots.row, block, m, packed, p == 0, ahead, sums + r * N * W);
            if (ahead) ahead += lines * (64 / long(sizeof(Operand<T>)));
            if (ahead >= end) ahead = nullptr;
        });
        packed = next;
    }
}

// The columns of a tile are a whole panel; but a panel of the LSTM has two tiles where vectors are large and operands
// do not lie in pairs.
template struct SumTiles<HOLDFAST_REAL, 2, false>;
template struct SumTiles<HOLDFAST_REAL, 2, true>;
template struct SumTiles<HOLDFAST_REAL, 3, false>;
template struct SumTiles<HOLDFAST_REAL, 3, true>;
template struct SumTiles<HOLDFAST_REAL, 4, false>;
#if HOLDFAST_BYTES < 32 || defined(HOLDFAST_BF16)
template struct SumTiles<HOLDFAST_REAL, 4, true>;
#else
template struct SumTilesOfBoth<HOLDFAST_REAL, 2>;
#endif
template void times_panel<HOLDFAST_REAL, 1>(const Operand<HOLDFAST_REAL>*, const Slots&, long,
                                            const Operand<HOLDFAST_REAL>*, bool, HOLDFAST_REAL*);
template void times_panel<HOLDFAST_REAL, 2>(const Operand<HOLDFAST_REAL>*, const Slots&, long,
                                            const Operand<HOLDFAST_REAL>*, bool, HOLDFAST_REAL*);
template void times_panel<HOLDFAST_REAL, 3>(const Operand<HOLDFAST_REAL>*, const Slots&, long,
                                            const Operand<HOLDFAST_REAL>*, bool, HOLDFAST_REAL*);
template void times_panel<HOLDFAST_REAL, 4>(const Operand<HOLDFAST_REAL>*, const Slots&, long,
                                            const Operand<HOLDFAST_REAL>*, bool, HOLDFAST_REAL*);

}  // namespace holdfast::HOLDFAST_ISA
