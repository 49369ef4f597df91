// A call for steps of a stream: takes the memory and runs the threads.
#pragma once

#include "step.h"

namespace holdfast::HOLDFAST_ISA {

// How many threads products with `step` multiply-adds per step are worth. Waking a thread takes as long as about 2^18
// of them, and each wait of the threads for one another as long as about 2^14.
inline long step_threads(long step, long steps, long threads) {
    if (sanitized) return threads;
    return std::min(std::clamp(step * steps >> 19, 1L, threads), std::clamp(step >> 15, 1L, threads));
}

template <Kind kind>
void run_steps(const Layer<float>& l, Storage storage) {
    const StepWeights w(l, storage, l.packed);
    const long products = l.B * w.panels.gates * l.H * (l.I + l.O);
    in_threads(step_threads(products, l.T_, l.threads), [&](long threads) {
        const StepMemory m = StepMemory::take(l, w, storage, threads, Scratch::begin());
        for (long b = 0; b < l.B; b++) {
            std::copy_n(l.h0 + b * l.O, l.O, m.h[0] + b * m.ldh);
            if (kind == Kind::lstm) std::copy_n(l.c0 + b * l.H, l.H, m.c + b * w.panels.padded);
        }
        Barrier barrier;
        const long available = parallel(threads, [&](long thread) {
            StepThread<kind>(l, storage, w, m, barrier, thread, threads).run();
        });
        for (long b = 0; b < l.B && available == threads; b++) {
            std::copy_n(m.h[l.T_ % 2] + b * m.ldh, l.O, l.h_n + b * l.O);
            if (kind == Kind::lstm) std::copy_n(m.c + b * w.panels.padded, l.H, l.c_n + b * l.H);
        }
        return available;
    });
}

inline void run_linear(const LinearCall& call) {
    const LinearWeights w(call.inputs, call.outputs, call.storage, call.packed);
    const long ldx = step_stride(call.inputs), ldy = w.panels.padded;
    Scratch& scratch = Scratch::begin();
    float *x = scratch.take<float>(call.rows * ldx), *y = scratch.take<float>(call.rows * ldy);
    auto* rounded = scratch.take<std::int16_t>(call.storage == Storage::int8 ? call.rows * ldx : 0);
    float* scales = scratch.take<float>(call.rows);
    for (long r = 0; r < call.rows; r++) {
        const float* from = call.x + r * call.inputs;
        std::copy_n(from, call.inputs, x + r * ldx);
        std::fill(x + r * ldx + call.inputs, x + (r + 1) * ldx, 0.0f);
        std::copy_n(w.bias, ldy, y + r * ldy);
        if (call.storage == Storage::int8) scales[r] = round_to_16_bits(from, call.inputs, rounded + r * ldx);
    }
    const StepRows rows{call.storage == Storage::int8 ? static_cast<const void*>(rounded) : x, scales, ldx};
    in_threads(step_threads(call.rows * call.inputs * call.outputs, 1, call.threads), [&](long threads) {
        return parallel(threads, [&](long thread) {
            w.matrix.add(w.matrix_at, rows, call.rows, Share::of(w.panels.count, thread, threads), y, ldy,
                         w.panels.width());
        });
    });
    for (long r = 0; r < call.rows; r++) std::copy_n(y + r * ldy, call.outputs, call.y + r * call.outputs);
}

}  // namespace holdfast::HOLDFAST_ISA
