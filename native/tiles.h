// The tiles of the products forward and backward. They are compiled once per type (tiles.cpp), for all cells.
#pragma once

#include "matmul_amx.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
using SumTile = void (*)(const TileSum<T>&, long rows, T* out);

// The functions that compute a tile of N columns, for 1, 2, ... rows. `apart`: as in sum_tile.
template <class T, int N, bool apart>
struct SumTiles {
    static const std::array<SumTile<T>, far_tile_rows<T, N>> of_rows;
};

// The most rows of a tile that takes two panels at once, and the functions.
template <class T, int N>
constexpr int rows_of_both = Types<T>::bytes == 64 ? tile_rows<T, 2 * N> : 3;
template <class T, int N>
struct SumTilesOfBoth {
    static const std::array<SumTile<T>, rows_of_both<T, N>> of_rows;
};

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
void times_panel(const Operand<T>* g, const Slots& slots, long rows, const Operand<T>* packed, bool far, T* sums);

}  // namespace holdfast::HOLDFAST_ISA
