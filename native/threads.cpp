#include "threads.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>

namespace holdfast {

Rows::Rows(const std::int64_t* lengths, long B, long T, long threads) : order(B), length(B, T) {
    threads = std::max(1L, std::min(threads, B));
    start.resize(threads + 1);
    for (long k = 0; k <= threads; k++) start[k] = B * k / threads;
    std::iota(order.begin(), order.end(), 0L);
    if (!lengths) return;
    std::copy_n(lengths, B, length.begin());
    std::vector<long> sorted = order;
    std::stable_sort(sorted.begin(), sorted.end(), [&](long a, long b) { return length[a] > length[b]; });
    // Deal like cards, there and back, so that all threads get as many steps.
    std::vector<long> filled(start.begin(), start.end() - 1);
    long k = 0, direction = 1;
    auto next = [&] {
        if (k + direction < 0 || k + direction == threads)
            direction = -direction;
        else
            k += direction;
    };
    for (long b : sorted) {
        while (filled[k] == start[k + 1]) next();
        order[filled[k]++] = b;
        next();
    }
}

Rows::~Rows() = default;

Scratch& Scratch::begin(Owner owner) {
    static thread_local Scratch scratch[2];
    scratch[owner].next_ = 0;
    return scratch[owner];
}

void* Scratch::bytes(long count) {
    if (next_ == blocks_.size()) blocks_.push_back({nullptr, 0});
    Block& block = blocks_[next_++];
    const long wanted = (std::max(count, 1L) + 63) / 64 * 64;
    if (block.size < wanted) {
        std::free(block.data);
        block = {std::aligned_alloc(64, wanted), wanted};
        if (!block.data) {
            block.size = 0;
            throw std::bad_alloc();
        }
    }
    return block.data;
}

Scratch::~Scratch() {
    for (const Block& block : blocks_) std::free(block.data);
}

}  // namespace holdfast
