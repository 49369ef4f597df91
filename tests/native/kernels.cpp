// Calls every kernel as Python does, but without Python, under a sanitizer: `make sanitize`.
//
// It runs each instruction set of this processor, float, double and bfloat16, each kind of cell with its options,
// sizes next to the vector widths, lengths, and both directions; with one thread and with several, then from two
// threads at once. Every array is a block of its own, exactly as large as native/layer.h says, and outputs start as
// NaN. Several threads must give the same numbers up to rounding, and the same bits when repeated. Where the scalar
// kernels are compiled (HOLDFAST_ISAS=all), every other set must give their numbers up to rounding.
// tests/engines/test_native*.py and test_bfloat16.py check that the numbers are right. streams.cpp has the streams and
// the measurement of the peak.
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <thread>

#include "call.h"

using namespace holdfast;

namespace {

const Kernels* scalar_kernels() {
    for (const InstructionSet& set : all_instruction_sets())
        if (std::string(set.name) == "scalar") return set.full;
    return nullptr;
}

template <class T>
void check(const Tested& tested, const Variant& v, Size s, bool uneven, bool reverse, bool every) {
    const Kernels& kernels = tested.kernels;
    auto trained = [&](int threads) {
        Call<T> call(tested, v, s, uneven, reverse, threads, every);
        run(kernels, call.layer, false);
        run(kernels, call.layer, true);
        return call;
    };
    auto expect = [&](const char* what, const Call<T>& a, const Call<T>& b, double tolerance, bool inference = false) {
        const std::string different = a.difference(b, tolerance, inference);
        if (different.empty()) return;
        problems++;
        std::printf("%s%s %s, %zu bytes, %s, B %ld T %ld I %ld H %ld%s%s: %s\n", tested.set,
                    tested.rounded ? " bfloat16" : "", v.name, sizeof(T), what, s.B, s.T, s.I, s.H,
                    uneven ? ", lengths" : "", reverse ? ", reverse" : "", different.c_str());
    };
    // Threads add up the statistics of layer norm in another order. In bfloat16 an operand in the middle of two numbers
    // may then be rounded to the other one, 2^-8 of itself away.
    const double sums = 8 * std::numeric_limits<T>::epsilon() * double(s.T + s.I + s.H + s.B * s.T);
    const double rounding = tested.rounded && v.norm ? 0x1p-8 : sums;
    const Call<T> one = trained(1), two = trained(2);
    if (const Kernels* kernels = scalar_kernels(); kernels && kernels != &tested.kernels && !tested.rounded) {
        Call<T> exact({*kernels, "scalar", false}, v, s, uneven, reverse, 1, every);
        run(*kernels, exact.layer, false);
        run(*kernels, exact.layer, true);
        expect("beside the scalar kernels", one, exact, 4 * rounding);
    }
    expect("two threads beside one", two, one, rounding);
    expect("two threads again", trained(2), two, 0);
    expect("five threads beside one", trained(5), one, rounding);
    Call<T> inference(tested, v, s, uneven, reverse, 3, every);
    inference.for_inference(kernels);
    run(kernels, inference.layer, false);
    expect("inference with three threads beside one", inference, one, rounding, true);
}

// Covers all combinations of any two flags with every size, and all combinations of the three flags with every two
// consecutive sizes.
template <class T>
void check_all(const Tested& tested, const Variant& v) {
    for (std::size_t k = 0; k < std::size(sizes); k++)
        for (unsigned flags = 0; flags < 8; flags++)
            if ((k + std::popcount(flags)) % 2) check<T>(tested, v, sizes[k], flags & 1, flags & 2, flags & 4);
}

template <class T>
void check_activations(const Kernels& kernels) {
    for (int a = 0; a <= int(Activation::scaled_tanh); a++)
        for (long count : {1L, 7L, 33L}) {
            const std::unique_ptr<T[]> x(new T[count]), y(new T[count]);
            const T scale = Activation(a) == Activation::exponential ? 1 : 1e3;
            for (long k = 0; k < count; k++) x[k] = T(k % 2 ? -k : k) * scale;
            const Function<T> f{Activation(a), T(0.2), T(0.5)};
            if constexpr (sizeof(T) == 4)
                kernels.activate_f32(f, x.get(), y.get(), count);
            else
                kernels.activate_f64(f, x.get(), y.get(), count);
            for (long k = 0; k < count; k++)
                if (!std::isfinite(y[k])) {
                    problems++;
                    std::printf("%s activation %d of %g is %g\n", kernels.name, a, double(x[k]), double(y[k]));
                }
        }
}

// Python's lock is free while a kernel runs, so two Python threads may call kernels at once.
void check_at_once(const Tested& tested) {
    std::thread other([&] { check_all<float>(tested, variants[8]); });
    check_all<float>(tested, variants[9]);
    other.join();
}

}  // namespace

int main() {
    std::string names;
    const Kernels* before = nullptr;
    for (const InstructionSet& set : all_instruction_sets()) {
        if (!set.runs_here()) continue;
        names += std::string(" ") + set.name;
        const Tested full{*set.full, set.name, false}, bfloat16{*set.bfloat16, set.name, true};
        for (const Variant& v : variants) check_all<float>(bfloat16, v);
        check_at_once(bfloat16);
        if (set.full == before) continue;  // the two sets differ only in bfloat16
        before = set.full;
        check_activations<float>(full.kernels);
        check_activations<double>(full.kernels);
        for (const Variant& v : variants) {
            check_all<float>(full, v);
            check_all<double>(full, v);
        }
        check_at_once(full);
        check_streams(full);
    }
    std::printf("%ld calls of the kernels of%s, %ld problems\n", calls.load(), names.c_str(), problems.load());
    return problems ? 1 : 0;
}
