// The kernels of streams, for the table in kernels.cpp; layer.h says what each does.
#pragma once

#include "layer.h"

namespace holdfast::HOLDFAST_ISA {

long steps_bytes(const Layer<float>& l, Storage storage);
void pack_steps(const Layer<float>& l, Storage storage, void* out);
void steps(const Layer<float>& l, Storage storage);
long linear_bytes(long inputs, long outputs, Storage storage);
void pack_linear(long inputs, long outputs, Storage storage, const float* weight, const float* bias, void* out);
void linear(const LinearCall& call);

}  // namespace holdfast::HOLDFAST_ISA
