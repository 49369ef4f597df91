// The threads of a call: which rows each has, how they wait for one another, and their working memory.
//
// threads.cpp is compiled once, for any processor. Code in the headers of the kernels must not be shared between
// instruction sets, and a function of the standard library that two sets use would be shared.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace holdfast {

// Whether this is built for a sanitizer. Then a call uses all threads that it may use, whatever its size; and every
// block of Scratch is new, exactly as large as requested and full of NaN, so that the sanitizer or a test notices
// every read past the end or before a write.
#if defined(HOLDFAST_SANITIZED)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

// Which rows each group of threads has: group k has order[start[k]] to order[start[k + 1]] (excluded), longest first.
// So at every step the rows that still run are the first ones of their group.
class Rows {
  public:
    Rows(const std::int64_t* lengths, long B, long T, long groups);  // null lengths: all T
    ~Rows();

    std::vector<long> order, start, length;

    long groups() const { return long(start.size()) - 1; }
    long active(long group, long t) const {  // how many rows of a group run at step t
        long low = start[group], high = start[group + 1];
        while (low < high) {
            const long middle = (low + high) / 2;
            if (length[order[middle]] > t)
                low = middle + 1;
            else
                high = middle;
        }
        return low - start[group];
    }
};

// A barrier for `count` threads. They spin for a while, as the wait is usually short.
class Barrier {
  public:
    void wait(long count);

  private:
    std::atomic<long> here_{0}, round_{0};
};

// The threads of a call. Groups of threads share the rows; the threads of a group share the units. A group has several
// threads where there are too few rows per thread to make up for reading all weights.
class Team {
  public:
    Team(const std::int64_t* lengths, long B, long T, long threads);
    ~Team();

    const long threads;
    const Rows rows;
    const long members;  // threads of a group

    static bool shares_units(long B, long threads);  // whether a group would have more than one thread
    long group(long thread) const { return thread / members; }
    long member(long thread) const { return thread % members; }
    void wait(long thread) { barriers_[group(thread)].wait(members); }  // for the threads of the group
    void wait_for_all() { barriers_.back().wait(threads); }

  private:
    std::vector<Barrier> barriers_;
};

// Calls f(thread) in `threads` threads at once and returns `threads`. If the runtime has fewer threads, calls nothing
// and returns their number.
long parallel(long threads, void (*f)(void* context, long thread), void* context);

template <class F>
long parallel(long threads, F f) {
    return parallel(threads, [](void* context, long thread) { (*static_cast<F*>(context))(thread); }, &f);
}

// The bytes of weights that stay in a core's second-level cache from step to step, beside all else that a step reads.
long kept_weights();

// Asks for large pages under memory that is about to be filled: mapping small pages one by one takes longer than some
// layers do. Does nothing for small blocks and on systems without large pages.
void prefer_large_pages(void* data, long bytes);

// Memory at a multiple of 64 bytes, for `free_block`; a large block is in large pages from end to end, where the system
// has them. Throws std::bad_alloc.
void* new_block(long bytes);
void free_block(void* block);

// Blocks of memory that the calling thread keeps for its next call. After `begin`, `take` returns the same blocks in
// the same order. A call takes the memory for all threads before it starts them, so no thread can run out of memory.
class Scratch {
  public:
    static Scratch& begin();

    template <class T>
    T* take(long count) {
        return static_cast<T*>(bytes(count * long(sizeof(T))));
    }
    ~Scratch();

  private:
    struct Block {
        void* data;
        long size;
    };
    void* bytes(long count);  // 64-byte aligned; throws std::bad_alloc

    std::vector<Block> blocks_;
    std::size_t next_ = 0;
};

}  // namespace holdfast
