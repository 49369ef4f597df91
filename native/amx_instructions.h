// The instructions of AMX that the kernels use. The builds of `make sanitize` compile the file of the same name in
// tests/native instead, which computes the same without the instructions.
#pragma once

#include "simd.h"

namespace holdfast::HOLDFAST_ISA {

// The shapes of the tiles, as the instruction reads them.
struct alignas(64) TileConfig {
    std::uint8_t palette = 1, start = 0, reserved[14]{};
    std::uint16_t bytes[16]{};  // of a row
    std::uint8_t rows[16]{};
};

// Sets the shapes. All tiles become 0.
HF_INLINE void configure_tiles(const TileConfig& config) { asm volatile("ldtilecfg %0" ::"m"(config) : "memory"); }
HF_INLINE void release_tiles() { asm volatile("tilerelease"); }

// `stride` is in bytes.
template <int tile>
HF_INLINE void load_tile(const void* from, long stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
HF_INLINE void store_tile(void* to, long stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
HF_INLINE void clear_tile() {
    asm volatile("tilezero %%tmm%c0" ::"i"(tile));
}
// sums[m][n] += a[m][2k] * b[k][2n] + a[m][2k + 1] * b[k][2n + 1], over all k.
template <int sums, int a, int b>
HF_INLINE void multiply_tiles() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(a), "i"(b));
}

}  // namespace holdfast::HOLDFAST_ISA
