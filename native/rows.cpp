// The loops of cells whose units need no results of other units within a step, for one instruction set and type.
#include "backward.h"
#include "forward.h"
#include "loops.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
void rows_forward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) { run_forward<T, kind, columns>(l); });
}

template <class T>
void rows_backward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) { run_backward<T, kind, columns>(l); });
}

template void rows_forward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);
template void rows_backward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);

}  // namespace holdfast::HOLDFAST_ISA
