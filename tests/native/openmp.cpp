// The part of GCC's OpenMP runtime that the kernels use, on std::thread, for ThreadSanitizer: it does not know the
// synchronisation inside libgomp, and would take every barrier for none. Linked instead of libgomp, never with it.
//
// Threads live as long as their region. A construct that is not here is an undefined symbol when the program is linked.
#include <barrier>
#include <thread>
#include <vector>

namespace {

struct Team {
    std::barrier<> barrier;
    int size;
};
thread_local Team* team = nullptr;
thread_local int number = 0;

void run(Team* with, int as, void (*body)(void*), void* data) {
    Team* const outer = team;
    const int before = number;
    team = with, number = as;
    body(data);
    team = outer, number = before;
}

}  // namespace

extern "C" {

void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned) {
    if (!threads) threads = std::thread::hardware_concurrency();
    Team now{std::barrier<>(threads), int(threads)};
    std::vector<std::thread> others;
    for (unsigned k = 1; k < threads; k++) others.emplace_back(run, &now, int(k), body, data);
    run(&now, 0, body, data);
    for (std::thread& other : others) other.join();
}

void GOMP_barrier() {
    if (team) team->barrier.arrive_and_wait();
}

int omp_get_thread_num() { return number; }
int omp_get_num_threads() { return team ? team->size : 1; }
int omp_get_max_threads() { return int(std::thread::hardware_concurrency()); }
int omp_in_parallel() { return team && team->size > 1; }
}
