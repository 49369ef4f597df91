// The loop over time, forward.
#pragma once

#include "pack.h"
#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// The unit-wise part of a step for one row's vector of units.
template <class T, Kind kind, bool plain>
HF_INLINE void forward_unit(const Layer<T>& l, const Unit<T>& u, T* g, const T* h_old, T* h, T* c) {
    if constexpr (kind == Kind::rnn) rnn_forward<T, plain>(l.options, u, g, h_old, h);
    if constexpr (kind == Kind::lstm) lstm_forward<T, plain>(l.options, u, g, h_old, h, c);
    if constexpr (kind == Kind::gru) gru_forward<T, plain>(l.options, u, g, h_old, h);
}

// The memory of a call; rows in the order of Team. Of h there are two, the state that a step reads and the one that it
// writes, as some threads still read the old one when others have written; h_in is h as the product reads it: with the
// mask of its dropout, and rounded where operands are.
template <class T>
struct ForwardMemory {
    const T* packed;
    T *h[2], *c, *gates;
    Operand<T> *h_in[2], *x;
    long ldh, ldx, x_thread, gates_thread;
};

template <class T, Kind kind, int N, bool plain>
void forward_rows(const Layer<T>& l, const Panels& p, Team& team, long thread, const ForwardMemory<T>& memory) {
    constexpr long W = lanes<T>;
    using Weights = ForwardWeights<T, kind, N>;
    constexpr auto tiles = by_rows<tile_rows<T, N>>(
        [](auto m) { return gates_tile<T, m, N, Weights::columns, Weights::last_h, Weights::last_x>; });
    const Rows& rows = team.rows;
    const long group = team.group(thread), first = rows.start[group], R = rows.start[group + 1] - first;
    const long ldh = memory.ldh, ldx = memory.ldx;
    const Share panels = Share::of(p.count, team.member(thread), team.members);
    const Share own_rows = Share::of(R, team.member(thread), team.members);
    const Weights weights(l, p, memory.packed);
    T* c = memory.c + first * p.padded;
    T *h = memory.h[0] + first * ldh, *h_new = memory.h[1] + first * ldh;
    Operand<T> *h_in = memory.h_in[0] + first * ldh, *h_in_new = memory.h_in[1] + first * ldh;
    Operand<T>* x = memory.x + thread * memory.x_thread;
    const bool apart = paired<T> || l.rounded || l.state_mask;  // h_in from h
    auto take_in = [&](const T* from, Operand<T>* to, long b, long at) {
        Vec<T> v = load<T>(from);
        if (l.state_mask) v = v * load_some<T>(l.state_mask + b * l.H + at, l.H - at);
        put<T>(to, v, l.rounded);
    };
    for (long r = own_rows.begin; r < own_rows.end; r++) {
        const long b = rows.order[first + r], length = rows.length[b];
        for (T* both : {h, h_new}) {
            std::copy_n(l.h0 + b * l.H, l.H, both + r * ldh);
            std::fill(both + r * ldh + l.H, both + (r + 1) * ldh, T(0));
        }
        if (apart)
            for (Operand<T>* both : {h_in, h_in_new})
                for (long k = 0; k < l.H; k += W) take_in(h + r * ldh + k, both + r * ldh + k, b, k);
        if constexpr (kind == Kind::lstm) {
            std::copy_n(l.c0 + b * l.H, l.H, c + r * p.padded);
            std::fill(c + r * p.padded + l.H, c + (r + 1) * p.padded, T(0));
        }
        for (long t = length; t < l.T_; t++) std::fill_n(l.y.at(b, t), l.H, T(0));
    }
    team.wait(thread);
    for (long step = 0; step < l.T_; step++) {
        const long t = l.reverse ? l.T_ - 1 - step : step, n = rows.active(group, t);
        if (!n && l.reverse) continue;
        if (!n) break;
        for (long r = 0; r < n; r++)
            put_values<T>(x + r * ldx, l.x.at(rows.order[first + r], t), l.x_value, l.I, l.rounded);
        for (long q = panels.begin; q < panels.end; q++) {
            T* kept = l.gates ? l.gates + ((t * p.count + q) * l.B + first) * p.width() : nullptr;
            over_rows(n, tiles.size(), [&](long m, long r) __attribute__((always_inline)) {
                T* g = kept ? kept + r * N * W : memory.gates + thread * memory.gates_thread;
                tiles[m - 1](weights.bias(q), {h_in + r * ldh, ldh, weights.state(q), l.H},
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
                        if (apart) take_in(to + at, h_in_new + r * ldh + at, b, at);
                        if constexpr (kind == Kind::lstm)
                            if (l.c_all) store_some<T>(l.c_all.at(b, t) + at, load<T>(cell + at), count);
                    }
                }
            });
        }
        team.wait(thread);
        std::swap(h, h_new), std::swap(h_in, h_in_new);
    }
    // A row's last step wrote the one buffer or the other; against time, it is the last one of its group.
    for (long r = own_rows.begin; r < own_rows.end; r++) {
        const long b = rows.order[first + r], last = rows.length[l.reverse ? rows.order[first] : b] % 2;
        std::copy_n(memory.h[last] + (first + r) * ldh, l.H, l.h_n + b * l.H);
        if constexpr (kind == Kind::lstm) std::copy_n(c + r * p.padded, l.H, l.c_n + b * l.H);
    }
}

template <class T, Kind kind, int N, bool plain>
void run_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    using Weights = ForwardWeights<T, kind, N>;
    const long kept_rows = l.T_ * l.B * long(sizeof(T));
    if (l.gates) prefer_large_pages(l.gates, kept_rows * p.count * p.width());
    if (l.c_before) prefer_large_pages(l.c_before, kept_rows * p.padded);
    run_in_team(l, p, [&](Team& team) {
        long most = 0;  // rows of a group
        for (long k = 0; k < team.rows.groups(); k++) most = std::max(most, team.rows.start[k + 1] - team.rows.start[k]);
        Scratch& scratch = Scratch::begin();
        ForwardMemory<T> m{};
        m.ldh = padded_stride(p.padded, p.W), m.ldx = padded_stride(l.I, p.W);
        T* packed = l.packed ? nullptr : scratch.take<T>(Weights::size(l, p));
        m.packed = l.packed ? l.packed : packed;
        for (int k = 0; k < 2; k++) {
            m.h[k] = scratch.take<T>(l.B * m.ldh);
            if constexpr (!paired<T>) m.h_in[k] = m.h[k];
            if (paired<T> || l.rounded || l.state_mask) m.h_in[k] = scratch.take<Operand<T>>(l.B * m.ldh);
        }
        m.c = kind == Kind::lstm ? scratch.take<T>(l.B * p.padded) : nullptr;
        m.x = scratch.take<Operand<T>>(team.threads * (m.x_thread = most * m.ldx));
        m.gates = l.gates ? nullptr : scratch.take<T>(team.threads * (m.gates_thread = tile_rows<T, N> * p.width()));
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
