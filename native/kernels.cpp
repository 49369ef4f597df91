// The kernels of one instruction set. Compiled once for each, with its flags and with
//     HOLDFAST_ISA    its name, also the namespace of everything in the headers
//     HOLDFAST_BYTES  the bytes of a vector; 0 for one value at a time
//     HOLDFAST_CHECK  the expression that says whether this processor has it
//     HOLDFAST_BF16   defined for the kernels that multiply bfloat16 by the processor's dot product; they have no double
#include "backward.h"
#include "forward.h"
#include "peak.h"
#include "stages_backward.h"
#include "stages_forward.h"

namespace holdfast::HOLDFAST_ISA {

// Calls f with the kind, the columns of a tile and whether the options are plain, all known to the compiler. Cells in
// stages are never plain.
template <class T, class F>
void dispatch(const Layer<T>& l, F f) {
    auto with = [&](auto kind, auto columns) {
        if (l.options.plain && !l.in_stages())
            f(kind, columns, std::true_type{});
        else
            f(kind, columns, std::false_type{});
    };
    using std::integral_constant;
    const long columns = Panels::of(l).columns();
    if (l.kind == Kind::lstm && columns == 4) with(integral_constant<Kind, Kind::lstm>{}, integral_constant<int, 4>{});
    if (l.kind == Kind::lstm && columns == 3) with(integral_constant<Kind, Kind::lstm>{}, integral_constant<int, 3>{});
    if (l.kind == Kind::gru) with(integral_constant<Kind, Kind::gru>{}, integral_constant<int, 4>{});
    if (l.kind == Kind::rnn && columns == 1) with(integral_constant<Kind, Kind::rnn>{}, integral_constant<int, 1>{});
    if (l.kind == Kind::rnn && columns == 2) with(integral_constant<Kind, Kind::rnn>{}, integral_constant<int, 2>{});
    if (l.kind == Kind::rnn && columns == 3) with(integral_constant<Kind, Kind::rnn>{}, integral_constant<int, 3>{});
    if (l.kind == Kind::rnn && columns == 4) with(integral_constant<Kind, Kind::rnn>{}, integral_constant<int, 4>{});
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

// The layer with what is kept of its activations at the ends of a clipped sum. Not inlined: forward and backward get the
// same bits.
template <class T>
__attribute__((noinline)) Layer<T> with_ends(Layer<T> l) {
    const T ends[2] = {-l.options.gate_clip, l.options.gate_clip};
    auto keep_ends = [&](const Function<T>& f, T* kept) {
        if (keeps_argument(f))
            std::copy_n(ends, 2, kept);
        else
            activate_each<T>(f, ends, kept, 2);
    };
    keep_ends(l.options.phi, l.options.phi_ends);
    keep_ends(l.options.sigma, l.options.sigma_ends);
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
                      packed_size<double>, pack<double>, forward<float>, backward<float>, activate_each<float>, forward<double>,
                      backward<double>, activate_each<double>, fma_rounds};
#endif

}  // namespace holdfast::HOLDFAST_ISA
