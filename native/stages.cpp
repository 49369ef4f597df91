// The loops of cells in stages, for one instruction set and type.
#include "loops.h"
#include "run_stages.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
void stages_forward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) { run_stages_forward<T, kind, columns>(l); });
}

template <class T>
void stages_backward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) { run_stages_backward<T, kind, columns>(l); });
}

template void stages_forward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);
template void stages_backward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);

}  // namespace holdfast::HOLDFAST_ISA
