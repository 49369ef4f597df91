// The loop over time, backward. The gradients of the weights come after it: weight_gradients.h.
#pragma once

#include "pack.h"
#include "product.h"
#include "weight_gradients.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, Kind kind, bool plain>
HF_INLINE void backward_unit(const Layer<T>& l, const Unit<T>& u, T* g, const T* h_old, const T* c_old, T* dh,
                             T* dc) {
    if constexpr (kind == Kind::rnn) rnn_backward<T, plain>(l.options, u, g, dh);
    if constexpr (kind == Kind::lstm) lstm_backward<T, plain>(l.options, u, g, c_old, dh, dc);
    if constexpr (kind == Kind::gru) gru_backward<T, plain>(l.options, u, g, h_old, dh);
}

// Adds to dh the gates' gradients `g` of a step times the recurrent weights: for all gates at once, or gate by gate
// where each has a mask of its own. The rows of dh are `ld` values apart; row r is row order[r] of the batch.
template <class T>
void add_to_state(const Layer<T>& l, const Operand<T>* g, const Slots& slots, const long* order, long rows,
                  const Operand<T>* packed, Share share, T* dh, long ld) {
    constexpr long W = lanes<T>;
    auto add = [&](const Slots& gates, long gate) {
        auto add_to_dh = [&](long r, long at, Vec<T> sum) {
            T* into = dh + r * ld + at;
            if (l.state_mask) sum = sum * load_some<T>(l.mask(order[r], gate) + at, l.O - at);
            store<T>(into, load<T>(into) + sum);
        };
        times_transposed<T>(g, gates, rows, packed, l.O, share, add_to_dh);
    };
    if (l.masks == 1) return add(slots, 0);
    Slots one = slots;
    one.head = 1;
    one.tail = 0;
    const Operand<T>* const first = g;
    for (long gate = 0; gate < slots.head + slots.tail; gate++) {
        g = first + (gate < slots.head ? gate : gate + slots.skip) * W;
        add(one, gate);
        packed += one.size<T>(W) * ((l.O + W - 1) / W * W);
    }
}

// The gradients of the recurrent weights, from the gates' gradients `right`: for all gates at once, or gate by gate
// where each has a mask of its own. With the reset before the product, without the candidate.
template <class T, Kind kind, int N>
WeightSums<T, kind, N> state_sums(const Layer<T>& l, const T* right, T* bias) {
    using Sum = WeightSum<T, kind, N>;
    constexpr int columns = Sum::columns;
    const bool resets = l.options.reset_before;
    WeightSums<T, kind, N> sums;
    if (l.masks == 1) {
        sums.add(Sum::template of<columns, N - 1>(Sum::Left::state, l.O, right, l.dweight_hh, bias));
        if constexpr (kind == Kind::gru)
            if (resets) sums.all[0] = Sum::template of<2, 1>(Sum::Left::state, l.O, right, l.dweight_hh, bias);
        return sums;
    }
    if constexpr (kind != Kind::rnn) {  // an RNN has one gate
        auto add_gate = [&](auto n) {
            constexpr int column = n + 1 == columns ? N - 1 : n;
            sums.add(Sum::template of<1, column>(Sum::Left::state, l.O, right, l.dweight_hh, bias));
        };
        [&]<int... n>(std::integer_sequence<int, n...>) {
            (add_gate(std::integral_constant<int, n>{}), ...);
        }(std::make_integer_sequence<int, columns>{});
    }
    sums.count -= resets;
    for (int gate = 0; gate < sums.count; gate++) sums.all[gate].mask = gate;
    return sums;
}

// The memory of a call; rows in the order of Team.
template <class T>
struct BackwardMemory {
    Operand<T> *packed_h, *packed_x;
    Operand<T>* dgates;  // of one step, where operands lie in pairs; otherwise the products read `gates` itself
    T *dh, *dc, *dpeephole;
    long dpeephole_thread;
};

template <class T, Kind kind, int N, bool plain>
void backward_rows(const Layer<T>& l, const Panels& p, Team& team, long thread, const BackwardMemory<T>& memory) {
    constexpr long W = lanes<T>;
    constexpr bool gru = kind == Kind::gru, lstm = kind == Kind::lstm;
    const Rows& rows = team.rows;
    const long group = team.group(thread), first = rows.start[group], R = rows.start[group + 1] - first;
    const long Hp = p.padded, row = p.width(), member = team.member(thread), members = team.members;
    const Share panels = Share::of(p.count, member, members), row_share = Share::of(R, member, members);
    const Share panels_h = Share::of(panels_of_4(l.H, W), member, members);
    const Share panels_x = Share::of(panels_of_4(l.I, W), members - 1 - member, members);
    // Of the GRU's slots, the h product reads r, z and u_n, the x product r, z and n.
    const long columns = p.columns(), last = p.last_lanes();
    const Slots slots_h{row, gru ? 2 : columns, 1, gru ? 1 : 0, l.B * row, p.count, last};
    const Slots slots_x{row, gru ? 3 : columns, 0, 0, l.B * row, p.count, last};
    T *dh = memory.dh + first * Hp, *dc = memory.dc + first * Hp;
    T* dpeephole = memory.dpeephole + thread * memory.dpeephole_thread;
    std::fill_n(dpeephole, memory.dpeephole_thread, T(0));
    auto begin_with = [&](T* to, const T* from) {
        std::fill_n(to, Hp, T(0));
        if (from) std::copy_n(from, l.H, to);
    };
    for (long r = row_share.begin; r < row_share.end; r++) {
        const long b = rows.order[first + r];
        begin_with(dh + r * Hp, l.dh_n ? l.dh_n + b * l.H : nullptr);
        if (lstm) begin_with(dc + r * Hp, l.dc_n ? l.dc_n + b * l.H : nullptr);
        if (l.dx)
            for (long t = rows.length[b]; t < l.T_; t++) std::fill_n(l.dx.at(b, t), l.I, T(0));
    }
    team.wait(thread);
    for (long step = l.T_ - 1; step >= 0; step--) {
        const long t = l.reverse ? l.T_ - 1 - step : step, n = rows.active(group, t);
        if (!n && !l.reverse) continue;
        if (!n) break;
        T* gates = l.gates + (t * p.count * l.B + first) * row;
        Operand<T>* operands;
        if constexpr (paired<T>)
            operands = memory.dgates + first * row;
        else
            operands = gates;
        for (long q = panels.begin; q < panels.end; q++) {
            T* g = gates + q * l.B * row;
            for (long r = 0; r < n; r++, g += row) {
                const long b = rows.order[first + r];
                for (long v = 0; v < p.units; v++) {
                    const long at = (q * p.units + v) * W, count = l.H - at;
                    T* slots = g + v * W;
                    if (count <= 0) {
                        store<T>(slots, Vec<T>{});
                        continue;
                    }
                    Unit<T> u = plain ? Unit<T>{W} : unit_at(l, b, t, at);
                    if (!plain && l.peephole) {
                        u.peephole_gradient = dpeephole + at;
                        u.gradient_stride = Hp;
                    }
                    T *d = dh + r * Hp + at, *d_cell = dc + r * Hp + at;
                    if (l.dy) store<T>(d, load<T>(d) + load_some<T>(l.dy.at(b, t) + at, count));
                    if constexpr (lstm)
                        if (l.dc_all) store<T>(d_cell, load<T>(d_cell) + load_some<T>(l.dc_all.at(b, t) + at, count));
                    alignas(64) T h_old[W];
                    if constexpr (gru) store<T>(h_old, load_some<T>(previous_h(l, rows, b, t) + at, count));
                    const T* c_old = lstm ? l.c_before + (t * l.B + first + r) * Hp + at : nullptr;
                    backward_unit<T, kind, plain>(l, u, slots, h_old, c_old, d, d_cell);
                    clear_padding<T>(slots, p.slots, count);
                }
                if (paired<T> || l.rounded)
                    for (long k = 0; k < row; k += W) put<T>(operands + (g - gates) + k, load<T>(g + k), l.rounded);
            }
        }
        team.wait(thread);
        add_to_state<T>(l, operands, slots_h, &rows.order[first], n, memory.packed_h, panels_h, dh, Hp);
        if (l.dx) {
            auto put = [&](long r, long at, Vec<T> sum) {
                store_some<T>(l.dx.at(rows.order[first + r], t) + at, sum, l.I - at);
            };
            times_transposed<T>(operands, slots_x, n, memory.packed_x, l.I, panels_x, put);
        }
        team.wait(thread);
    }
    for (long r = row_share.begin; r < row_share.end; r++) {
        const long b = rows.order[first + r];
        if (l.dh0) std::copy_n(dh + r * Hp, l.H, l.dh0 + b * l.H);
        if (l.dc0) std::copy_n(dc + r * Hp, l.H, l.dc0 + b * l.H);
    }
}

// Adds up the values of all threads, which are `stride` apart from thread to thread.
template <class T>
void add_up(const Team& team, const T* of_threads, long stride, long values, T* to) {
    for (long k = 0; k < values; k++) {
        T sum = 0;
        for (long thread = 0; thread < team.threads; thread++) sum += of_threads[thread * stride + k];
        to[k] = sum;
    }
}

template <class T, Kind kind, int N, bool plain>
void run_backward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    using Weights = BackwardWeights<T, kind, N>;
    run_in_team(l, p, [&](Team& team) {
        Scratch& scratch = Scratch::begin();
        BackwardMemory<T> m{};
        m.packed_h = scratch.take<Operand<T>>(Weights::size(p, l.H));
        m.packed_x = l.dx ? scratch.take<Operand<T>>(Weights::size(p, l.I)) : nullptr;
        m.dgates = paired<T> ? scratch.take<Operand<T>>(p.count * l.B * p.width()) : nullptr;
        m.dh = scratch.take<T>(l.B * p.padded);
        m.dc = scratch.take<T>(kind == Kind::lstm ? l.B * p.padded : 0);
        m.dpeephole_thread = l.peephole ? (p.gates - 1) * p.padded : 0;
        m.dpeephole = scratch.take<T>(team.threads * m.dpeephole_thread);
        using Sum = WeightSum<T, kind, N>;
        constexpr int columns = Weights::columns;
        auto sums = state_sums<T, kind, N>(l, l.gates, l.dbias_hh);
        sums.add(Sum::template of<columns, columns - 1>(Sum::Left::input, l.I, l.gates, l.dweight_ih, l.dbias_ih));
        const WeightGradients<T, kind, N> gradients(l, p, team, scratch, sums);
        return [&, m, gradients](long thread) {
            Weights::pack(l, p, true, Share::of(panels_of_4(l.H, p.W), thread, team.threads), m.packed_h);
            if (l.dx) Weights::pack(l, p, false, Share::of(panels_of_4(l.I, p.W), thread, team.threads), m.packed_x);
            team.wait_for_all();
            backward_rows<T, kind, N, plain>(l, p, team, thread, m);
            team.wait_for_all();
            gradients.run(thread);
            if (l.peephole && thread == 0)
                for (long g = 0; g + 1 < p.gates; g++)
                    add_up(team, m.dpeephole + g * p.padded, m.dpeephole_thread, l.H, l.dpeephole + g * l.H);
        };
    });
}

}  // namespace holdfast::HOLDFAST_ISA
