// See masks.h. Compiled once, for any processor: the generator takes most of the time, and cannot be vectorised.
#include "masks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace holdfast {

namespace {

constexpr long words = 256;  // of a block
constexpr std::uint64_t each = 0x0101010101010101u, highest = 0x8080808080808080u;

// Draws the bytes of a block, and adds the places of those that equal the threshold.
void draw_block(Sfc64& bits, std::uint8_t threshold, long first, std::uint8_t* bytes, std::vector<long>& undecided) {
    Sfc64 own = bits;  // in registers
    for (long word = 0; word < words; word++) {
        const std::uint64_t drawn = own.next();
        std::memcpy(bytes + word * 8, &drawn, 8);
        const std::uint64_t differs = drawn ^ each * threshold;
        if (!((differs - each) & ~differs & highest)) continue;  // no byte of it is 0
        for (long k = 0; k < 8; k++)
            if (bytes[word * 8 + k] == threshold) undecided.push_back(first + word * 8 + k);
    }
    bits = own;
}

}  // namespace

template <class T>
void draw_mask(Sfc64& bits, double probability, T yes, long count, T* to) {
    const double whole = std::floor(probability * 256), rest = probability * 256 - whole;
    const auto threshold = std::uint8_t(whole);
    std::vector<long> undecided;
    std::uint8_t bytes[words * 8];
    for (long first = 0; first < count; first += words * 8) {
        const long size = std::min(words * 8, count - first);
        Sfc64 before = bits;
        draw_block(bits, threshold, first, bytes, undecided);
        for (long k = 0; k < size; k++) to[first + k] = bytes[k] < threshold ? yes : T(0);
        if (size == words * 8) continue;
        for (long word = 0; word < (size + 7) / 8; word++) before.next();
        bits = before;  // the last block draws no more than it needs
    }
    if (whole > 255) {  // a probability of 1
        std::fill_n(to, count, yes);
        return;
    }
    for (long place : undecided)
        if (place < count) to[place] = double(bits.next()) < rest * 0x1p64 ? yes : T(0);
}

template void draw_mask(Sfc64&, double, std::uint8_t, long, std::uint8_t*);
template void draw_mask(Sfc64&, double, float, long, float*);
template void draw_mask(Sfc64&, double, double, long, double*);

}  // namespace holdfast
