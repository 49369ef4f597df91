#include "threads.h"

#include <omp.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <thread>

namespace holdfast {

Rows::Rows(const std::int64_t* lengths, long B, long T, long groups) : order(B), length(B, T) {
    groups = std::max(1L, std::min(groups, B));
    start.resize(groups + 1);
    for (long k = 0; k <= groups; k++) start[k] = B * k / groups;
    std::iota(order.begin(), order.end(), 0L);
    if (!lengths) return;
    std::copy_n(lengths, B, length.begin());
    std::vector<long> sorted = order;
    std::stable_sort(sorted.begin(), sorted.end(), [&](long a, long b) { return length[a] > length[b]; });
    // Deal the rows out forth and back, so that all groups get about the same number of steps.
    std::vector<long> filled(start.begin(), start.end() - 1);
    long k = 0, direction = 1;
    auto next = [&] {
        if (k + direction < 0 || k + direction == groups)
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

namespace {

long groups_of(long rows, long threads) {
    constexpr long busy = 12;  // rows
    long groups = std::clamp(rows / busy, 1L, threads);
    while (threads % groups) groups--;
    return groups;
}

}  // namespace

Team::Team(const std::int64_t* lengths, long B, long T, long threads)
    : threads(threads), rows(lengths, B, T, groups_of(B, threads)), members(threads / rows.groups()),
      barriers_(rows.groups() + 1) {}

Team::~Team() = default;

bool Team::shares_units(long B, long threads) { return groups_of(B, threads) < threads; }

void Barrier::wait(long count) {
    if (count == 1) return;
    const long round = round_.load(std::memory_order_acquire);
    if (here_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
        here_.store(0, std::memory_order_relaxed);
        round_.store(round + 1, std::memory_order_release);
        return;
    }
    for (long spins = 0; round_.load(std::memory_order_acquire) == round; spins++) {
        if (spins > 4096) {
            std::this_thread::yield();  // there may be fewer cores than threads
            continue;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

long parallel(long threads, void (*f)(void*, long), void* context) {
    if (threads == 1) {
        f(context, 0);
        return 1;
    }
    long available = threads;
#pragma omp parallel num_threads(int(threads))
    {
        // The runtime may start fewer threads than requested. Then none may work: it would wait for the missing ones.
        const long count = omp_get_num_threads();
        if (count == threads)
            f(context, omp_get_thread_num());
        else if (omp_get_thread_num() == 0)
            available = count;
    }
    return available;
}

long kept_weights() {
    if (sanitized) return 16 << 10;  // so that small cells have both kinds of products
    static const long bytes = [] {
        long cache = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
        cache = sysconf(_SC_LEVEL2_CACHE_SIZE);  // 0 or -1: unknown
#endif
        return (cache > 0 ? cache : 1L << 20) * 3 / 4;
    }();
    return bytes;
}

namespace {

constexpr std::uintptr_t large = 2 << 20;  // bytes of a large page

}  // namespace

void prefer_large_pages([[maybe_unused]] void* data, [[maybe_unused]] long bytes) {
#if defined(MADV_HUGEPAGE)
    const auto begin = (reinterpret_cast<std::uintptr_t>(data) + large - 1) / large * large;
    const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / large * large;
    // May fail: it is only advice.
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

void* new_block(long bytes) {
    const bool pages = !sanitized && bytes >= 2 * long(large);
    const std::size_t wanted = pages ? (bytes + large - 1) / large * large : std::max(bytes, 1L);
    void* data = nullptr;
#if defined(_WIN32)
    data = _aligned_malloc(wanted, pages ? large : 64);
#else
    if (posix_memalign(&data, pages ? large : 64, wanted)) data = nullptr;
#endif
    if (!data) throw std::bad_alloc();
    prefer_large_pages(data, long(wanted));
    return data;
}

void free_block(void* block) {
#if defined(_WIN32)
    _aligned_free(block);
#else
    std::free(block);
#endif
}

Scratch& Scratch::begin() {
    static thread_local Scratch scratch;
    scratch.next_ = 0;
    return scratch;
}

void* Scratch::bytes(long count) {
    if (next_ == blocks_.size()) blocks_.push_back({nullptr, 0});
    Block& block = blocks_[next_++];
    const long wanted = std::max(count, 1L);
    if (sanitized || block.size < wanted) {
        free_block(block.data);
        block = {nullptr, 0};
        block = {new_block(wanted), wanted};
        if (sanitized) std::memset(block.data, 0xff, wanted);
    }
    return block.data;
}

Scratch::~Scratch() {
    for (const Block& block : blocks_) free_block(block.data);
}

}  // namespace holdfast
