// The instructions of native/amx_instructions.h in C++. `make sanitize` compiles these: AddressSanitizer then sees what
// the tiles read and write, which it does not in the instructions, and a processor without AMX can run the kernels.
//
// The processor stops a program that uses tiles without shapes or with shapes that do not fit. So does this.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "../../native/simd.h"

namespace holdfast::HOLDFAST_ISA {

struct TileConfig {
    std::uint8_t palette = 1, start = 0, reserved[14]{};
    std::uint16_t bytes[16]{};
    std::uint8_t rows[16]{};
};

struct Tile {
    long rows, bytes;
    alignas(64) unsigned char data[16][64];
};
inline thread_local Tile emulated_tiles[8]{};  // without rows: no shape

inline void expect_tiles(bool fit, const char* instruction) {
    if (fit) return;
    std::fprintf(stderr, "%s: the tiles have no shapes, or shapes that do not fit\n", instruction);
    std::abort();
}
inline Tile& tile_with_shape(int number, const char* instruction) {
    expect_tiles(emulated_tiles[number].rows, instruction);
    return emulated_tiles[number];
}

inline void configure_tiles(const TileConfig& config) {
    for (int k = 0; k < 8; k++) {
        expect_tiles(config.rows[k] <= 16 && config.bytes[k] <= 64 && config.bytes[k] % 4 == 0, "ldtilecfg");
        emulated_tiles[k] = {config.rows[k], config.bytes[k], {}};
    }
}
inline void release_tiles() {
    for (Tile& tile : emulated_tiles) tile = {};
}

template <int number>
void load_tile(const void* from, long stride) {
    Tile& tile = tile_with_shape(number, "tileloadd");
    for (long m = 0; m < tile.rows; m++)
        std::memcpy(tile.data[m], static_cast<const char*>(from) + m * stride, tile.bytes);
}
template <int number>
void store_tile(void* to, long stride) {
    const Tile& tile = tile_with_shape(number, "tilestored");
    for (long m = 0; m < tile.rows; m++) std::memcpy(static_cast<char*>(to) + m * stride, tile.data[m], tile.bytes);
}
template <int number>
void clear_tile() {
    std::memset(tile_with_shape(number, "tilezero").data, 0, sizeof(Tile::data));
}

// The value of a bfloat16; a denormal one is 0.
inline float emulated_operand(const unsigned char* at) {
    std::uint16_t half;
    std::memcpy(&half, at, sizeof half);
    return half & 0x7f80 ? __builtin_bit_cast(float, std::uint32_t(half) << 16) : 0;
}

template <int sums, int a, int b>
void multiply_tiles() {
    Tile& out = tile_with_shape(sums, "tdpbf16ps");
    const Tile &left = tile_with_shape(a, "tdpbf16ps"), &right = tile_with_shape(b, "tdpbf16ps");
    expect_tiles(out.rows == left.rows && out.bytes == right.bytes && left.bytes == 4 * right.rows, "tdpbf16ps");
    for (long m = 0; m < out.rows; m++) {
        float all[16], even[16]{}, odd[16]{};
        std::memcpy(all, out.data[m], sizeof all);
        for (long k = 0; k < right.rows; k++) {
            const float first = emulated_operand(left.data[m] + 4 * k);
            const float second = emulated_operand(left.data[m] + 4 * k + 2);
            for (long n = 0; n < out.bytes / 4; n++) {
                even[n] += first * emulated_operand(right.data[k] + 4 * n);
                odd[n] += second * emulated_operand(right.data[k] + 4 * n + 2);
            }
        }
        for (long n = 0; n < out.bytes / 4; n++) all[n] += even[n] + odd[n];
        std::memcpy(out.data[m], all, sizeof all);
    }
}

}  // namespace holdfast::HOLDFAST_ISA
