// The part of GCC's OpenMP runtime that the kernels use, on std::thread, for ThreadSanitizer. ThreadSanitizer does not
// see the synchronisation inside libgomp, such as the end of a parallel region. Linked instead of libgomp, never with
// it.
//
// Threads live as long as their region. A construct that is missing here is an undefined symbol at link time.
#include <thread>
#include <vector>

namespace {

thread_local int number = 0, count = 1, most = 1;  // this thread's number, the threads of its region, the maximum

void run(int inner_number, int inner_count, void (*body)(void*), void* data) {
    const int outer_number = number, outer_count = count;
    number = inner_number;
    count = inner_count;
    body(data);
    number = outer_number;
    count = outer_count;
}

}  // namespace

extern "C" {

void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned) {
    if (!threads) threads = most;
    std::vector<std::thread> others;
    for (unsigned k = 1; k < threads; k++) others.emplace_back(run, int(k), int(threads), body, data);
    run(0, int(threads), body, data);
    for (std::thread& other : others) other.join();
}

int omp_get_thread_num() { return number; }
int omp_get_num_threads() { return count; }
int omp_get_max_threads() { return most; }
void omp_set_num_threads(int threads) { most = threads; }
}
