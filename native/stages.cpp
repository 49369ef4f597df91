// The loops of cells in stages, for one instruction set and type.
#include "loops.h"
#include "run_stages.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
long stages_packed_size(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    long size = StagesWeights<T>::size(l, p);
    with_cell(l, [&](auto kind, auto columns) { size += ForwardWeights<T, kind, columns>::size(l, p); });
    return size;
}

template <class T>
void stages_pack(const Layer<T>& l, T* out) {
    const Panels p = Panels::of(l);
    with_cell(l, [&](auto kind, auto columns) {
        using Weights = ForwardWeights<T, kind, columns>;
        Weights::pack(l, p, {0, p.count}, out);
        StagesWeights<T>::pack(l, p, 0, 1, out + Weights::size(l, p));
    });
}

template <class T>
void stages_forward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) { run_stages_forward<T, kind, columns>(l); });
}

template <class T>
void stages_backward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) { run_stages_backward<T, kind, columns>(l); });
}

template long stages_packed_size<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);
template void stages_pack<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&, HOLDFAST_REAL*);
template void stages_forward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);
template void stages_backward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);

}  // namespace holdfast::HOLDFAST_ISA
