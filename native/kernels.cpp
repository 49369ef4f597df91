// The kernels of one instruction set. This file, rows.cpp, stages.cpp, single.cpp, units.cpp, tiles.cpp and steps.cpp
// are compiled once per set, with its flags and with
//     HOLDFAST_ISA    its name, also the namespace of everything in the headers
//     HOLDFAST_BYTES  the bytes of a vector; 0: one value at a time
//     HOLDFAST_CHECK  the expression that is true if this processor has the set
//     HOLDFAST_BF16   defined for kernels that use the processor's dot product of bfloat16; they have no double
//     HOLDFAST_AMX    defined for those of them that use its matrix unit instead
#include "clip_ends.h"
#include "fingerprint.h"
#include "loops.h"
#include "pack.h"
#include "single.h"
#include "stages.h"
#include "steps.h"

#if defined(HOLDFAST_AMX)
#include "amx_permission.h"
#endif

#if defined(HOLDFAST_BF16)
// They have no cells in stages: the other kernels of AVX-512 compute these, and round the operands of products.
namespace holdfast::avx512 {
extern const Kernels kernels;
}
namespace holdfast::HOLDFAST_ISA {
template <class T>
long stages_packed_size(const Layer<T>& l) { return avx512::kernels.packed_size_f32(l); }
template <class T>
void stages_pack(const Layer<T>& l, T* out) { avx512::kernels.pack_f32(l, out); }
template <class T>
void stages_forward(const Layer<T>& l) { avx512::kernels.forward_f32(l); }
template <class T>
void stages_backward(const Layer<T>& l) { avx512::kernels.backward_f32(l); }
}  // namespace holdfast::HOLDFAST_ISA
#endif

namespace holdfast::HOLDFAST_ISA {

template <class T>
void forward_of(const Layer<T>& l) {
    if constexpr (!paired<T>)
        if (reads_in_place(l)) return single_forward(l);
    l.in_stages() ? stages_forward(l) : rows_forward(l);
}
template <class T>
void backward_of(const Layer<T>& l) {
    if constexpr (!paired<T>)
        if (reads_in_place(l)) return single_backward(l);
    l.in_stages() ? stages_backward(l) : rows_backward(l);
}

template <class T>
long packed_size(const Layer<T>& l) {
    if (l.in_stages()) return stages_packed_size(l);
    long size = 0;
    with_cell(l, [&](auto kind, auto columns) { size = ForwardWeights<T, kind, columns>::size(l, Panels::of(l)); });
    return size;
}

template <class T>
void pack(const Layer<T>& l, T* out) {
    if (l.in_stages()) return stages_pack(l, out);
    const Panels p = Panels::of(l);
    with_cell(l, [&](auto kind, auto columns) { ForwardWeights<T, kind, columns>::pack(l, p, {0, p.count}, out); });
}

template <class T>
void forward(const Layer<T>& l) {
    l.options.gate_clip > 0 ? forward_of(with_ends(l)) : forward_of(l);
}
template <class T>
void backward(const Layer<T>& l) {
    l.options.gate_clip > 0 ? backward_of(with_ends(l)) : backward_of(l);
}

template <class T>
Kept kept(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    return {l.T_ * p.count * l.B * p.width(), l.kind == Kind::lstm ? l.T_ * l.B * p.padded : 0,
            l.in_stages() ? StagesKept<T>::of(l, p, l.T_, nullptr).size : 0};
}

bool runs_here() { return HOLDFAST_CHECK; }

#define HF_STRING(x) #x
#define HF_NAME(x) HF_STRING(x)
extern const Kernels kernels;
#if defined(HOLDFAST_BF16)
const Kernels kernels{HF_NAME(HOLDFAST_ISA), runs_here, kept<float>, nullptr, reads_in_place<float>, nullptr,
                      packed_size<float>, pack<float>, nullptr, nullptr, forward<float>, backward<float>,
                      activate_each<float>, nullptr, nullptr, nullptr, fingerprint,
                      nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
#else
const Kernels kernels{HF_NAME(HOLDFAST_ISA), runs_here, kept<float>, kept<double>, reads_in_place<float>,
                      reads_in_place<double>, packed_size<float>, pack<float>, packed_size<double>, pack<double>,
                      forward<float>, backward<float>, activate_each<float>,
                      forward<double>, backward<double>, activate_each<double>, fingerprint, steps_bytes,
                      pack_steps, steps, linear_bytes, pack_linear, linear};
#endif

}  // namespace holdfast::HOLDFAST_ISA
