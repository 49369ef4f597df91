// How fast a machine can multiply and add with all threads: the bound for the speed of the kernels.
#include <chrono>

#include "dispatch.h"

namespace holdfast {

double fma_peak(const Kernels& kernels, int threads, double seconds) {
    using Clock = std::chrono::steady_clock;
    double rate = 0;
#pragma omp parallel num_threads(threads) reduction(+ : rate)
    {
        double operations = 0, elapsed = 0;
        const auto start = Clock::now();
        do {
            operations += kernels.fma_rounds(10'000);
            elapsed = std::chrono::duration<double>(Clock::now() - start).count();
        } while (elapsed < seconds);
        rate += operations / elapsed;
    }
    return rate / 1e9;
}

}  // namespace holdfast
