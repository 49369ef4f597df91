// A number from the bits of an array. If the array changes, the number changes too, but for about one change in 2^32.
//
// Each lane is h = rotate(h, 5) xor word, times an odd number: a function that has an inverse, so a change of one word
// always changes its lane. The rotation brings the highest bits down, where the product mixes them: without it, two
// changes of sign in a lane would cancel.
#pragma once

#include <cstdint>
#include <cstring>

namespace holdfast::HOLDFAST_ISA {

inline std::uint64_t fingerprint(const void* data, long bytes, std::uint64_t before) {
    constexpr int width = HOLDFAST_BYTES ? HOLDFAST_BYTES : 16, vectors = 8, block = vectors * width;
    typedef std::uint32_t Words __attribute__((vector_size(width)));
    Words lanes[vectors];
    for (int k = 0; k < vectors; k++)
        for (std::size_t n = 0; n < width / sizeof(std::uint32_t); n++) lanes[k][n] = std::uint32_t(k * width + n + 1);
    auto add = [&](const char* from) {
#pragma GCC unroll 8
        for (int k = 0; k < vectors; k++) {
            Words word;
            std::memcpy(&word, from + k * width, width);
            lanes[k] = ((lanes[k] << 5 | lanes[k] >> 27) ^ word) * 0x9e3779b1u;
        }
    };
    const char* from = static_cast<const char*>(data);
    long left = bytes;
    for (; left >= block; left -= block, from += block) add(from);
    if (left) {
        char last[block] = {};
        std::memcpy(last, from, left);
        add(last);
    }
    std::uint64_t all = (before ^ std::uint64_t(bytes)) * 0x9e3779b97f4a7c15u;
    for (int k = 0; k < vectors; k++)
        for (std::size_t n = 0; n < width / sizeof(std::uint32_t); n++) {
            all = (all ^ lanes[k][n]) * 0x9e3779b97f4a7c15u;
            all ^= all >> 32;
        }
    return all;
}

}  // namespace holdfast::HOLDFAST_ISA
