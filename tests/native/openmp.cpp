// The part of GCC's OpenMP runtime that the kernels use, on std::thread, for ThreadSanitizer: it does not know the
// synchronisation inside libgomp, and would see no end of a region there. Linked instead of libgomp, never with it.
//
// Threads live as long as their region. A construct that is not here is an undefined symbol when the program is linked.
#include <thread>
#include <vector>

namespace {

thread_local int number = 0, together = 1, most = 1;

void run(int as, int of, void (*body)(void*), void* data) {
    const int before = number, outer = together;
    number = as, together = of;
    body(data);
    number = before, together = outer;
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
int omp_get_num_threads() { return together; }
int omp_get_max_threads() { return most; }
void omp_set_num_threads(int threads) { most = threads; }
}
