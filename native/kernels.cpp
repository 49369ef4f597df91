// The kernels of one instruction set. This file is compiled once per set, with its flags and with
//     HOLDFAST_ISA    its name, also the namespace of everything in the headers
//     HOLDFAST_BYTES  the bytes of a vector; 0: one value at a time
//     HOLDFAST_CHECK  the expression that is true if this processor has the set
//     HOLDFAST_BF16   defined for kernels that use the processor's dot product of bfloat16; they have no double
#include "backward.h"
#include "forward.h"
#include "peak.h"
#include "run_stages.h"

namespace holdfast::HOLDFAST_ISA {

// Calls f(kind, columns of a tile, plain), all three known at compile time. Cells in stages are never plain.
template <class T, class F>
void dispatch(const Layer<T>& l, F f) {
    auto call = [&](auto kind, auto columns) {
        if (l.options.plain && !l.in_stages())
            f(kind, columns, std::true_type{});
        else
            f(kind, columns, std::false_type{});
    };
    const long columns = Panels::of(l).columns();
    auto with = [&]<Kind kind, int n>() {
        if (l.kind == kind && columns == n)
            call(std::integral_constant<Kind, kind>{}, std::integral_constant<int, n>{});
    };
    with.template operator()<Kind::lstm, 4>();
    with.template operator()<Kind::lstm, 3>();
    with.template operator()<Kind::gru, 4>();
    with.template operator()<Kind::rnn, 2>();
    with.template operator()<Kind::rnn, 4>();
}

template <class T>
void activate_each(Function<T> f, const T* x, T* y, long count) {
    constexpr long W = lanes<T>;
    for (long k = 0; k < count; k += W) {
        const long n = std::min(W, count - k);
        const Vec<T> v = activate<T>(f, load_some<T>(x + k, n));
        store_some<T>(y + k, v, n);
    }
}

// The layer with phi_ends and sigma_ends: what its activations store for the bounds of the gate clip. Not inlined, so
// that forward and backward get the same bits.
template <class T>
__attribute__((noinline)) Layer<T> with_ends(Layer<T> l) {
    const T ends[2] = {-l.options.gate_clip, l.options.gate_clip};
    auto set_ends = [&](const Function<T>& f, T* stored) {
        if (stores_argument(f))
            std::copy_n(ends, 2, stored);
        else
            activate_each<T>(f, ends, stored, 2);
    };
    set_ends(l.options.phi, l.options.phi_ends);
    set_ends(l.options.sigma, l.options.sigma_ends);
    return l;
}

template <class T>
void forward_of(const Layer<T>& l) {
    dispatch(l, [&](auto kind, auto columns, auto plain) {
        if constexpr (!plain && !paired<T>)
            if (l.in_stages()) return run_stages_forward<T, kind, columns>(l);
        run_forward<T, kind, columns, plain>(l);
    });
}

template <class T>
long packed_size(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    long size = l.in_stages() ? StagesWeights<T>::size(l, p) : 0;
    dispatch(l, [&](auto kind, auto columns, auto) { size += ForwardWeights<T, kind, columns>::size(l, p); });
    return size;
}

template <class T>
void pack(const Layer<T>& l, T* out) {
    const Panels p = Panels::of(l);
    dispatch(l, [&](auto kind, auto columns, auto) {
        using Weights = ForwardWeights<T, kind, columns>;
        Weights::pack(l, p, {0, p.count}, out);
        if constexpr (!paired<T>)
            if (l.in_stages()) StagesWeights<T>::pack(l, p, 0, 1, out + Weights::size(l, p));
    });
}

template <class T>
void backward_of(const Layer<T>& l) {
    dispatch(l, [&](auto kind, auto columns, auto plain) {
        if constexpr (!plain && !paired<T>)
            if (l.in_stages()) return run_stages_backward<T, kind, columns>(l);
        run_backward<T, kind, columns, plain>(l);
    });
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
const Kernels kernels{HF_NAME(HOLDFAST_ISA), runs_here, kept<float>, nullptr, packed_size<float>, pack<float>, nullptr,
                      nullptr, forward<float>, backward<float>, activate_each<float>, nullptr, nullptr, nullptr,
                      fma_rounds};
#else
const Kernels kernels{HF_NAME(HOLDFAST_ISA), runs_here, kept<float>, kept<double>, packed_size<float>, pack<float>,
                      packed_size<double>, pack<double>, forward<float>, backward<float>, activate_each<float>,
                      forward<double>, backward<double>, activate_each<double>, fma_rounds};
#endif

}  // namespace holdfast::HOLDFAST_ISA
