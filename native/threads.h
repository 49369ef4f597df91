// The threads of a call: which rows each has, how they wait for one another, and the memory they work in.
//
// Compiled once, for any processor: what stands in the headers of the kernels must not be shared between instruction
// sets, and a function of the standard library that two of them use would be.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace holdfast {

// Whether this is built for a sanitizer. Then all threads that are offered are taken, so that it sees them without large
// sizes; and every block of Scratch is new, just as large as was asked for and full of NaN, so that nothing that is read
// past its end or before it was written goes unseen.
#if defined(HOLDFAST_SANITIZED)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

// Which rows each group of threads has, longest first: group k has order[start[k]] to before order[start[k + 1]]. At
// every step those that are still running are the first of each group's.
class Rows {
  public:
    Rows(const std::int64_t* lengths, long B, long T, long groups);  // lengths may be null: all T
    ~Rows();

    std::vector<long> order, start, length;

    long groups() const { return long(start.size()) - 1; }
    long active(long group, long t) const {  // rows of a group that are running at step t
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

// Where `count` threads wait until all have come. They spin for a short while, as what they wait for is short.
class Barrier {
  public:
    void wait(long count);

  private:
    std::atomic<long> here_{0}, round_{0};
};

// The threads of a call. Groups of them share the rows, and the threads of a group share the units: they are several
// where there are fewer rows than would keep a thread busy with the weights that it has to read for them.
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

// Calls f(thread) in `threads` threads at once, and returns `threads`; or calls nothing, and returns how many there are.
long parallel(long threads, void (*f)(void* context, long thread), void* context);

template <class F>
long parallel(long threads, F f) {
    return parallel(threads, [](void* context, long thread) { (*static_cast<F*>(context))(thread); }, &f);
}

// Asks for large pages under memory that is about to be filled: mapping it page by page takes longer than some layers.
// For large blocks, and where the system has them; elsewhere this does nothing.
void prefer_large_pages(void* data, long bytes);

// Blocks of memory that stay with the thread that asks for them, in the order they are asked for, the same again after
// each `begin`. A call takes all that its threads need before it starts them: none of them can run out of memory.
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
