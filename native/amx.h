// The matrix unit of AMX: sums of products of bfloat16 on its tiles.
//
// A tile has 16 rows of 64 bytes: 16 sums, or 32 operands. One instruction adds the products of 16 rows and 32 steps
// with a vector of columns. On processors with this unit, the dot product of matmul_bf16.h is slower than products in
// float: it does a quarter as many instructions per cycle.
#pragma once

#include "operand.h"

#if defined(HOLDFAST_EMULATED_TILES)
#include "../tests/native/amx_instructions.h"
#elif defined(HOLDFAST_AMX)
#include "amx_instructions.h"
#endif

namespace holdfast::HOLDFAST_ISA {

// Whether products are computed on tiles; and the rows of a tile.
#if defined(HOLDFAST_AMX)
template <class T>
constexpr bool on_tiles = paired<T>;
#else
template <class T>
constexpr bool on_tiles = false;
#endif
constexpr int rows_of_tiles = 16;

// Transposes blocks of 16 x 16 pairs: from [pairs][rows] to [blocks][rows][16 pairs].
void put_pairs_in_tiles(Bfloat16* pairs, long count);

// The sums of some rows and N vectors of columns.
template <int N>
class TileSums;

// While it exists, a thread may use tiles. Afterwards they are released: a switch of threads would save them.
template <class T>
struct UsesTiles {
    UsesTiles() = default;
    UsesTiles(const UsesTiles&) = delete;
    HF_INLINE ~UsesTiles();
};

// The left operands of a product: rows `row` values apart, and `step` values from 32 steps to the next 32. Each vector
// of columns has rows of its own, `apart` values behind those before, unless that is 0.
struct TileRows {
    const Bfloat16* at;
    long row, step = 32, apart = 0;
};

#if defined(HOLDFAST_AMX)

inline void put_pairs_in_tiles(Bfloat16* pairs, long count) {
    constexpr long W = lanes<float>;
    auto* block = reinterpret_cast<float*>(pairs);
    for (long k = 0; k < count; k += W, block += W * W) {
        Vec<float> v[W];
        for (long j = 0; j < W; j++) v[j] = load<float>(block + j * W);
        transpose_lanes<float>(v);
        for (long j = 0; j < W; j++) store<float>(block + j * W, v[j]);
    }
}

// The shapes of a thread's tiles. 0 to 3: sums; 4 and 5: the left and the right operands of 32 steps; 6 and 7: those of
// the last steps, if they are fewer.
struct TileShapes {
    long rows = 0, rest = 0;  // 0: not known

    // Sets them. All tiles lose their values.
    void set(long new_rows, long new_rest) {
        TileConfig to;
        for (int tile = 0; tile < 6; tile++) {
            to.bytes[tile] = 64;
            to.rows[tile] = tile == 5 ? 16 : new_rows;
        }
        if (new_rest) {
            to.bytes[6] = 2 * new_rest;
            to.rows[6] = new_rows;
            to.bytes[7] = 64;
            to.rows[7] = new_rest / 2;
        }
        configure_tiles(to);
        rows = new_rows;
        rest = new_rest;
    }
};
inline thread_local TileShapes tile_shapes;

template <class T>
HF_INLINE UsesTiles<T>::~UsesTiles() {
    release_tiles();
    tile_shapes = {};
}

template <int N>
class TileSums {
    static constexpr long W = lanes<float>;

  public:
    explicit TileSums(long rows) {
        if (tile_shapes.rows != rows) tile_shapes.set(rows, 0);
    }

    void clear() {
        each([](auto n) { clear_tile<n>(); });
    }
    // Column n of row m is from[m * ld + column(n)].
    template <class Column>
    HF_INLINE void load(const float* from, long ld, Column column) {
        each([&](auto n) { load_tile<n>(from + column(n), 4 * ld); });
    }
    template <class Column>
    HF_INLINE void store(float* to, long ld, Column column) const {
        each([&](auto n) { store_tile<n>(to + column(n), 4 * ld); });
    }

    // Adds the products of K steps with B, which has NB vectors per step: n for column n, but `last` for the last one.
    // If K is odd, the left operands of a step more are read, which are finite; the right ones of that step are 0.
    template <int NB = N, int last = N - 1>
    HF_INLINE void add(TileRows left, const Bfloat16* B, long K) {
        constexpr long pairs = NB * 2 * W;  // values of a pair of steps
        auto steps = [&](auto a, auto b) __attribute__((always_inline)) {
            each([&](auto n) {
                if (n == 0 || left.apart) load_tile<a>(left.at + n * left.apart, 2 * left.row);
                load_tile<b>(B + (n + 1 == N ? last : int(n)) * 2 * W, 2 * pairs);
                multiply_tiles<n, a, b>();
            });
        };
        for (; K >= 32; K -= 32, left.at += left.step, B += 16 * pairs) steps(number<4>, number<5>);
        if (!K) return;
        set_rest((K + 1) / 2 * 2);
        steps(number<6>, number<7>);
    }

  private:
    template <int n>
    static constexpr std::integral_constant<int, n> number{};

    template <class F>
    HF_INLINE static void each(F f) {
        [&]<int... n>(std::integer_sequence<int, n...>) __attribute__((always_inline)) {
            (f(number<n>), ...);
        }(std::make_integer_sequence<int, N>{});
    }

    void set_rest(long rest) {
        if (tile_shapes.rest == rest) return;
        alignas(64) float sums[rows_of_tiles * N * W];
        auto column = [](int n) { return n * W; };
        store(sums, N * W, column);
        tile_shapes.set(tile_shapes.rows, rest);
        load(sums, N * W, column);
    }
};

#else
template <class T>
HF_INLINE UsesTiles<T>::~UsesTiles() {}
#endif

}  // namespace holdfast::HOLDFAST_ISA
