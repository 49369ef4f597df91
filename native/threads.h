// What the threads of a call have for themselves: rows of the batch, and memory that they keep from call to call.
//
// Compiled once, for any processor: what stands in the headers of the kernels must not be shared between instruction
// sets, and a function of the standard library that two of them use would be.
#pragma once

#include <cstdint>
#include <vector>

namespace holdfast {

// Which rows each thread has, longest first: thread k has order[start[k]] to before order[start[k + 1]]. At every step
// those that are still running are the first of each thread's.
class Rows {
  public:
    Rows(const std::int64_t* lengths, long B, long T, long threads);  // lengths may be null: all T
    ~Rows();

    std::vector<long> order, start, length;

    long threads() const { return long(start.size()) - 1; }
    long active(long thread, long t) const {  // rows of a thread that are running at step t
        long n = 0;
        const long all = start[thread + 1] - start[thread];
        while (n < all && length[order[start[thread] + n]] > t) n++;
        return n;
    }
};

// Blocks of memory in the order they are asked for, the same again after each `begin`; for the thread that calls it.
class Scratch {
  public:
    enum Owner { worker, caller };  // a call's threads, or the thread that calls them: it may be one of them
    static Scratch& begin(Owner owner = worker);

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
