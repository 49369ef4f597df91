// The kernels of streams, of one instruction set: compiled as kernels.cpp is.
#include "steps.h"

#include "clip_ends.h"
#include "run_step.h"

namespace holdfast::HOLDFAST_ISA {

long steps_bytes(const Layer<float>& l, Storage storage) { return StepWeights(l, storage, nullptr).bytes; }
void pack_steps(const Layer<float>& l, Storage storage, void* out) { StepWeights(l, storage, out).pack(l); }
void steps(const Layer<float>& l, Storage storage) {
    const Layer<float> layer = l.options.gate_clip > 0 ? with_ends(l) : l;
    switch (l.kind) {
        case Kind::rnn: return run_steps<Kind::rnn>(layer, storage);
        case Kind::lstm: return run_steps<Kind::lstm>(layer, storage);
        case Kind::gru: return run_steps<Kind::gru>(layer, storage);
    }
}
long linear_bytes(long inputs, long outputs, Storage storage) {
    return LinearWeights(inputs, outputs, storage, nullptr).bytes;
}
void pack_linear(long inputs, long outputs, Storage storage, const float* weight, const float* bias, void* out) {
    LinearWeights(inputs, outputs, storage, out).pack(weight, bias);
}
void linear(const LinearCall& call) { run_linear(call); }

}  // namespace holdfast::HOLDFAST_ISA
