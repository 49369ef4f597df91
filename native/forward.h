// The loop over time, forward.
#pragma once

#include "pack.h"
#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// The unit-wise part of a step for one vector of units of one row.
template <class T, Kind kind, bool plain>
HF_INLINE void forward_unit(const Layer<T>& l, const Unit<T>& u, T* g, const T* h_old, T* h, T* c) {
    if constexpr (kind == Kind::rnn) rnn_forward<T, plain>(l.options, u, g, h_old, h);
    if constexpr (kind == Kind::lstm) lstm_forward<T, plain>(l.options, u, g, h_old, h, c);
    if constexpr (kind == Kind::gru) gru_forward<T, plain>(l.options, u, g, h_old, h);
}

// The memory of a call; rows in the order of Team. h is double-buffered: some threads still read the old state while
// others write the new one. h_in is h as the recurrent product reads it: after its dropout, once per mask (`ldh`
// values apart), and rounded where the operands are rounded.
template <class T>
struct ForwardMemory {
    const T* packed;
    T *h[2], *c, *gates;
    Operand<T> *h_in[2], *x;
    long ldh, ld_in, ldx, x_thread, gates_thread;
};

// Whether h_in has memory of its own; otherwise h_in is h.
template <class T>
bool has_h_in(const Layer<T>& l) {
    return paired<T> || l.rounded || l.state_mask;
}

// Takes the memory that the state and the inputs of all rows need.
template <class T>
void take_forward_memory(const Layer<T>& l, const Panels& p, const Team& team, Scratch& scratch, ForwardMemory<T>& m) {
    m.ldh = padded_stride(p.padded, p.W);
    m.ld_in = l.masks * m.ldh;
    m.ldx = padded_stride(l.I, p.W);
    for (int k = 0; k < 2; k++) {
        m.h[k] = scratch.take<T>(l.B * m.ldh);
        if constexpr (!paired<T>) m.h_in[k] = m.h[k];
        if (has_h_in(l)) m.h_in[k] = scratch.take<Operand<T>>(l.B * m.ld_in);
    }
    m.c = l.kind == Kind::lstm ? scratch.take<T>(l.B * p.padded) : nullptr;
    m.x_thread = most_rows(team.rows) * m.ldx;
    m.x = scratch.take<Operand<T>>(team.threads * m.x_thread);
}

// Writes a vector of row b's h, from value `at` on, as the product reads it.
template <class T>
HF_INLINE void put_state(const Layer<T>& l, const T* h, Operand<T>* to, long ldh, long b, long at) {
    const Vec<T> v = load<T>(h);
    if (!l.state_mask) return put<T>(to, v, l.rounded);
    for (long k = 0; k < l.masks; k++) put<T>(to + k * ldh, v * load_some<T>(l.mask(b, k) + at, l.O - at), l.rounded);
}

// The functions that compute a panel's gates, for 1, 2, ... rows. `apart`: each gate reads an h of its own.
template <class T, Kind kind, int N, bool apart = false>
constexpr auto gates_tiles = by_rows<tile_rows<T, N>>([](auto m) {
    using Weights = ForwardWeights<T, kind, N>;
    return gates_tile<T, m, N, Weights::columns, Weights::last_h, Weights::last_x, apart>;
});
template <class T, Kind kind, int N>
const auto& gates_tiles_of(const Layer<T>& l) {
    return l.masks > 1 ? gates_tiles<T, kind, N, kind != Kind::rnn> : gates_tiles<T, kind, N>;  // an RNN has one gate
}

// Sets the initial state of rows, and y past their length to 0; end_rows writes their final state. A thread does its
// share of its group's rows.
template <class T>
void begin_rows(const Layer<T>& l, const Panels& p, const Team& team, long thread, const ForwardMemory<T>& memory) {
    const Rows& rows = team.rows;
    const long group = team.group(thread), first = rows.start[group], ldh = memory.ldh;
    const Share share = Share::of(rows.start[group + 1] - first, team.member(thread), team.members);
    for (long r = first + share.begin; r < first + share.end; r++) {
        const long b = rows.order[r], length = rows.length[b];
        for (int n = 0; n < 2; n++) {
            T* h = memory.h[n] + r * ldh;
            std::copy_n(l.h0 + b * l.O, l.O, h);
            std::fill(h + l.O, h + ldh, T(0));
            if (has_h_in(l))
                for (long k = 0; k < l.O; k += lanes<T>)
                    put_state(l, h + k, memory.h_in[n] + r * memory.ld_in + k, ldh, b, k);
        }
        if (l.kind == Kind::lstm) {
            std::copy_n(l.c0 + b * l.H, l.H, memory.c + r * p.padded);
            std::fill(memory.c + r * p.padded + l.H, memory.c + (r + 1) * p.padded, T(0));
        }
        for (long t = length; t < l.T_; t++) std::fill_n(l.y.at(b, t), l.O, T(0));
    }
}

template <class T>
void end_rows(const Layer<T>& l, const Panels& p, const Team& team, long thread, const ForwardMemory<T>& memory) {
    const Rows& rows = team.rows;
    const long group = team.group(thread), first = rows.start[group];
    const Share share = Share::of(rows.start[group + 1] - first, team.member(thread), team.members);
    // The buffer that a row's last step wrote. In reverse all rows end at the last step of the group.
    for (long r = first + share.begin; r < first + share.end; r++) {
        const long b = rows.order[r], last = rows.length[l.reverse ? rows.order[first] : b] % 2;
        std::copy_n(memory.h[last] + r * memory.ldh, l.O, l.h_n + b * l.O);
        if (l.kind == Kind::lstm) std::copy_n(memory.c + r * p.padded, l.H, l.c_n + b * l.H);
    }
}

template <class T, Kind kind, int N, bool plain>
void forward_rows(const Layer<T>& l, const Panels& p, Team& team, long thread, const ForwardMemory<T>& memory) {
    constexpr long W = lanes<T>;
    using Weights = ForwardWeights<T, kind, N>;
    const auto& tiles = gates_tiles_of<T, kind, N>(l);
    const Rows& rows = team.rows;
    const long group = team.group(thread), first = rows.start[group];
    const long ldh = memory.ldh, ld_in = memory.ld_in, ldx = memory.ldx;
    const Share panels = Share::of(p.count, team.member(thread), team.members);
    const Weights weights(l, p, memory.packed);
    T* c = memory.c + first * p.padded;
    T *h = memory.h[0] + first * ldh, *h_new = memory.h[1] + first * ldh;
    Operand<T> *h_in = memory.h_in[0] + first * ld_in, *h_in_new = memory.h_in[1] + first * ld_in;
    Operand<T>* x = memory.x + thread * memory.x_thread;
    const bool writes_h_in = has_h_in(l);
    begin_rows(l, p, team, thread, memory);
    team.wait(thread);
    for (long step = 0; step < l.T_; step++) {
        const long t = l.reverse ? l.T_ - 1 - step : step, n = rows.active(group, t);
        if (!n && l.reverse) continue;
        if (!n) break;
        for (long r = 0; r < n; r++)
            put_values<T>(x + r * ldx, l.x.at(rows.order[first + r], t), l.x_value, l.I, l.rounded);
        for (long q = panels.begin; q < panels.end; q++) {
            T* panel_gates = l.gates ? l.gates + ((t * p.count + q) * l.B + first) * p.width() : nullptr;
            over_rows(n, tiles.size(), [&](long m, long r) __attribute__((always_inline)) {
                T* g = panel_gates ? panel_gates + r * N * W : memory.gates + thread * memory.gates_thread;
                tiles[m - 1](weights.bias(q), {h_in + r * ld_in, ld_in, weights.state(q), l.H, ldh},
                             {x + r * ldx, ldx, weights.input(q), l.I}, g);
                for (const long end = r + m; r < end; r++, g += N * W) {
                    const long b = rows.order[first + r];
                    T *const y = l.y.at(b, t), *const to = h_new + r * ldh, *const cell = c + r * p.padded;
                    for (long v = 0; v < p.units; v++) {
                        const long at = (q * p.units + v) * W, count = l.H - at;
                        if (count <= 0) break;
                        const Unit<T> u = plain ? Unit<T>{W} : unit_at(l, b, t, at);
                        if constexpr (kind == Kind::lstm)
                            if (l.c_before)
                                store<T>(l.c_before + (t * l.B + first + r) * p.padded + at, load<T>(cell + at));
                        forward_unit<T, kind, plain>(l, u, g + v * W, h + r * ldh + at, to + at, cell + at);
                        store_some<T>(y + at, load<T>(to + at), count);
                        if (writes_h_in) put_state(l, to + at, h_in_new + r * ld_in + at, ldh, b, at);
                        if constexpr (kind == Kind::lstm)
                            if (l.c_all) store_some<T>(l.c_all.at(b, t) + at, load<T>(cell + at), count);
                    }
                }
            });
        }
        team.wait(thread);
        std::swap(h, h_new);
        std::swap(h_in, h_in_new);
    }
    end_rows(l, p, team, thread, memory);
}

template <class T, Kind kind, int N, bool plain>
void run_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    using Weights = ForwardWeights<T, kind, N>;
    const long kept_rows = l.T_ * l.B * long(sizeof(T));
    if (l.gates) prefer_large_pages(l.gates, kept_rows * p.count * p.width());
    if (l.c_before) prefer_large_pages(l.c_before, kept_rows * p.padded);
    run_in_team(l, p, [&](Team& team) {
        Scratch& scratch = Scratch::begin();
        ForwardMemory<T> m{};
        T* packed = l.packed ? nullptr : scratch.take<T>(Weights::size(l, p));
        m.packed = l.packed ? l.packed : packed;
        take_forward_memory(l, p, team, scratch, m);
        m.gates_thread = tile_rows<T, N> * p.width();
        m.gates = l.gates ? nullptr : scratch.take<T>(team.threads * m.gates_thread);
        return [&, m, packed](long thread) {
            if (packed) {
                Weights::pack(l, p, Share::of(p.count, thread, team.threads), packed);
                team.wait_for_all();
            }
            forward_rows<T, kind, N, plain>(l, p, team, thread, m);
        };
    });
}

}  // namespace holdfast::HOLDFAST_ISA
