// The functions of units.h, for one instruction set and type.
#include "units.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, Kind kind, bool plain>
void forward_units(const UnitsForward<T>& of) {
    const UnitsForward<T> s = of;
    const Layer<T>& l = s.l;
    constexpr bool lstm = kind == Kind::lstm;
    T* const y = l.y ? l.y.at(0, s.t) : nullptr;
    const long y_row = l.y.row, H = l.H;
    long k = 0;
    auto run = [&](auto together, auto usual) __attribute__((always_inline)) {
        constexpr int R = together;
        for (; k + R <= s.count; k += R) {
            const long *const order = s.order + (s.apart ? 0 : k), first = s.first + k * s.apart;
            const Unit<T> u = plain ? Unit<T>{lanes<T>} : unit_at(l, order[0], s.t, first, order[R - 1]);
            const Place<T, R> slots(s.slots + k * s.next_slots, s.next_slots), h(s.h + k * s.next_h, s.next_h);
            const Place<const T, R> h_old(s.h_old + k * s.next_h_old, s.next_h_old);
            const Place<T, R> c(lstm ? s.c + k * s.next_c : nullptr, s.next_c);
            if (lstm && s.c_before) Place<T, R>(s.c_before + k * s.next_c, s.next_c).store(c.load());
            cell_forward<T, kind, plain, R, usual>(l.options, u, slots, h_old, h, c);
            if (!y) continue;
#pragma GCC unroll 4
            for (int j = 0; j < R; j++) {
                const long at = first + j * s.apart, b = order[s.apart ? 0 : j];
                store_some<T>(y + b * y_row + at, load<T>(s.h + (k + j) * s.next_h), H - at);
            }
        }
    };
    using One = std::integral_constant<int, 1>;
    if (!plain && !has_usual_activations(l)) return run(One{}, std::bool_constant<plain>{});
    if (plain || !s.apart) run(std::integral_constant<int, 2>{}, std::true_type{});
    run(One{}, std::true_type{});
}

// One vector of units of row b.
template <class T, Kind kind, bool plain, bool usual>
HF_INLINE void backward_unit(const UnitsBackward<T>& s, long b, long at, T* slots, const T* c_before, T* dh, T* dc) {
    const Layer<T>& l = s.l;
    Unit<T> u = plain ? Unit<T>{lanes<T>} : unit_at(l, b, s.t, at);
    if (!plain && l.peephole) {
        u.peephole_gradient = s.dpeephole + (at - s.first);
        u.gradient_stride = s.next_dpeephole;
    }
    if constexpr (kind == Kind::rnn) rnn_backward<T, plain, usual>(l.options, u, slots, dh);
    if constexpr (kind == Kind::lstm) lstm_backward<T, plain, usual>(l.options, u, slots, c_before, dh, dc);
    if constexpr (kind == Kind::gru) {
        alignas(64) T h_old[lanes<T>];
        store<T>(h_old, load_some<T>(previous_h(l, s.length, b, s.t) + at, l.H - at));
        gru_backward<T, plain, usual>(l.options, u, slots, h_old, dh);
    }
}

template <class T, Kind kind, bool plain, bool usual>
void backward_units_with(const UnitsBackward<T>& of) {
    constexpr long W = lanes<T>;
    constexpr bool lstm = kind == Kind::lstm;
    const UnitsBackward<T> s = of;
    const long slots_of_unit = kind == Kind::rnn ? 1 : kind == Kind::gru ? 4 : s.l.gate_count();
    for (long r = 0; r < s.count; r++)
        for (long v = 0; v < s.vectors; v++) {
            const long at = s.first + v * W, count = s.l.H - at, place = r * s.next_d + v * W;
            T* const slots = s.slots + r * s.next_slots + v * W;
            if (count <= 0) {
                store<T>(slots, Vec<T>{});
                continue;
            }
            const T* const c_before = lstm ? s.c_before + r * s.next_c + v * W : nullptr;
            backward_unit<T, kind, plain, usual>(s, s.order[r], at, slots, c_before, s.dh + place,
                                                 lstm ? s.dc + place : nullptr);
            clear_padding<T>(slots, slots_of_unit, count);
        }
}

template <class T, Kind kind, bool plain>
void backward_units(const UnitsBackward<T>& s) {
    plain || has_usual_activations(s.l) ? backward_units_with<T, kind, plain, true>(s)
                                        : backward_units_with<T, kind, plain, plain>(s);
}

#define HF_UNITS(kind)                                                                                     \
    template void forward_units<HOLDFAST_REAL, kind, true>(const UnitsForward<HOLDFAST_REAL>&);            \
    template void forward_units<HOLDFAST_REAL, kind, false>(const UnitsForward<HOLDFAST_REAL>&);           \
    template void backward_units<HOLDFAST_REAL, kind, true>(const UnitsBackward<HOLDFAST_REAL>&);          \
    template void backward_units<HOLDFAST_REAL, kind, false>(const UnitsBackward<HOLDFAST_REAL>&);
HF_UNITS(Kind::rnn)
HF_UNITS(Kind::lstm)
HF_UNITS(Kind::gru)

}  // namespace holdfast::HOLDFAST_ISA
