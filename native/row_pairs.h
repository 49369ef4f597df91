// The factors of the weights' gradients where operands lie in pairs (operand.h): the rows of a piece in pairs, with
// the strips of h and x on the left and the gates' gradients of a panel on the right.
#pragma once

#include "matmul.h"

namespace holdfast::HOLDFAST_ISA {

// Collects the values of two rows, strip after strip, then writes them into the strips. A strip has M values per row.
template <class T, int M>
class RowPair {
  public:
    // The memory for rows of `values` values and one vector more.
    static long size(long values) { return 4 * (values + lanes<T>); }
    RowPair(Operand<T>* memory, long values) : memory_(memory), length_(values + lanes<T>) {}

    // Sets the values of row `row` (0 or 1) from `at` on, to those from `begin` to `end` (excluded) of a source. The
    // source has `size` values; a 1 and zeros follow them.
    void take(long row, long at, const T* from, long stride, const T* mask, long size, long begin, long end) {
        Operand<T>* to = memory_ + row * length_ + at;
        const long count = std::min(end, size) - begin;
        if (count > 0) put_values<T>(to, from + begin * stride, stride, count, true, mask ? mask + begin : nullptr);
        for (long k = std::max(begin, size); k < end; k++) to[k - begin] = {std::uint16_t(k == size ? one : 0)};
    }
    void take_nothing(long row) { std::memset(memory_ + row * length_, 0, length_ * sizeof(Operand<T>)); }

    // Writes the pair into the strips, which are `stride` operands apart.
    void write(Operand<T>* to, long strips, long stride) {
        const Operand<T>*first = memory_, *second = memory_ + length_;
        Operand<T>* both = memory_ + 2 * length_;
        for (long k = 0; k < strips * M; k++) {
            const std::uint32_t two = first[k].bits | std::uint32_t(second[k].bits) << 16;
            std::memcpy(both + 2 * k, &two, sizeof two);
        }
        for (long s = 0; s < strips; s++) std::memcpy(to + s * stride, both + s * 2 * M, 2 * M * sizeof(Operand<T>));
    }

  private:
    static constexpr std::uint16_t one = 0x3f80;
    Operand<T>* memory_;
    long length_;
};

// Writes the gates' gradients of the rows of the stretches as [pairs][N vectors of pairs]. A last row without a
// partner is paired with 0.
template <class T, int N>
void put_row_pairs(const T* g, long ldg, const Stretch* stretches, long count, Operand<T>* to) {
    constexpr long W = lanes<T>;
    const T* first = nullptr;
    auto write = [&](const T* second) {
        for (long n = 0; n < N; n++, to += 2 * W) {
            auto step = [&](long j) {
                if (j == 0) return load<T>(first + n * W);
                return second ? load<T>(second + n * W) : Vec<T>{};
            };
            put_steps<T>(to, true, step);
        }
        first = nullptr;
    };
    for (long s = 0; s < count; s++) {
        const T* from = g + stretches[s].at;
        for (long r = 0; r < stretches[s].rows; r++, from += ldg)
            if (first)
                write(from);
            else
                first = from;
    }
    if (first) write(nullptr);
}

}  // namespace holdfast::HOLDFAST_ISA
