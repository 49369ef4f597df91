// How the gradients of the weights take their factors where operands lie in pairs (operand.h): a piece's rows in pairs,
// on the left strips of h and x, on the right the gates' gradients of a panel.
#pragma once

#include "matmul.h"

namespace holdfast::HOLDFAST_ISA {

// Collects the values of two rows, strip after strip, and then writes them into the strips, of M values each.
template <class T, int M>
class RowPair {
  public:
    // Memory for rows of `values` values, and a vector more.
    static long size(long values) { return 4 * (values + lanes<T>); }
    RowPair(Operand<T>* memory, long values) : memory_(memory), length_(values + lanes<T>) {}

    // Row `row` (0 or 1), values from `at` on: of a source of `size` values with a 1 and zeros behind them, those from
    // `begin` to before `end`.
    void take(long row, long at, const T* from, long stride, const T* mask, long size, long begin, long end) {
        Operand<T>* to = memory_ + row * length_ + at;
        const long some = std::min(end, size) - begin;
        if (some > 0) put_values<T>(to, from + begin * stride, stride, some, true, mask ? mask + begin : nullptr);
        for (long k = std::max(begin, size); k < end; k++) to[k - begin] = {std::uint16_t(k == size ? one : 0)};
    }
    void take_nothing(long row) { std::memset(memory_ + row * length_, 0, length_ * sizeof(Operand<T>)); }

    // The pair into the strips, `stride` operands apart.
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

// The gates' gradients of the rows of some stretches, [pairs][N vectors of pairs]; an odd row's second one is 0.
template <class T, int N>
void put_row_pairs(const T* g, long ldg, const Stretch* stretches, long count, Operand<T>* to) {
    constexpr long W = lanes<T>;
    const T* before = nullptr;
    auto write = [&](const T* second) {
        for (long n = 0; n < N; n++, to += 2 * W)
            put_steps<T>(to, true, [&](long j) { return j == 0 ? load<T>(before + n * W) : second ? load<T>(second + n * W) : Vec<T>{}; });
        before = nullptr;
    };
    for (long s = 0; s < count; s++) {
        const T* from = g + stretches[s].at;
        for (long r = 0; r < stretches[s].rows; r++, from += ldg)
            if (before)
                write(from);
            else
                before = from;
    }
    if (before) write(nullptr);
}

}  // namespace holdfast::HOLDFAST_ISA
