// Random masks: the same bits as src/holdfast/cells/noise.py draws by NumPy, in one pass.
#pragma once

#include <cstdint>

namespace holdfast {

// NumPy's generator SFC64, by Chris Doty-Humphrey (https://pracrand.sourceforge.net).
struct Sfc64 {
    std::uint64_t a, b, c, counter;

    std::uint64_t next() {
        const std::uint64_t result = a + b + counter++;
        a = b ^ (b >> 11);
        b = c + (c << 3);
        c = (c << 24 | c >> 40) + result;
        return result;
    }
};

// Writes `count` values: `yes` with the probability, else 0. Eight random bits decide on each; if they equal the
// threshold, another 64 bits decide, which are drawn after all values.
template <class T>
void draw_mask(Sfc64& bits, double probability, T yes, long count, T* to);

}  // namespace holdfast
