// The loop over time, forward.
#pragma once

#include <omp.h>

#include <algorithm>

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// Packed for forward, a panel: [H][vectors of the state's part] [I][vectors of the input's part]; and the bias of a tile.
template <class T>
void pack_forward(const Layer<T>& l, const Panels& p, int columns_h, int last_h, int columns_x, T* out, T* bias) {
    const long W = p.W, panel = (l.H * columns_h + l.I * columns_x) * W;
    for (long q = 0; q < p.count; q++) {
        for (int part = 0; part < 2; part++) {
            const long K = part ? l.I : l.H, columns = part ? columns_x : columns_h;
            const T* source = part ? l.weight_ih : l.weight_hh;
            T* block = out + q * panel + (part ? l.H * columns_h * W : 0);
            for (long n = 0; n < columns; n++) {
                const long column = !part && n + 1 == columns ? last_h : n;
                const long first = p.unit(q, column), row = p.gate(column) * l.H + first;
                for (long lane = 0; lane < W; lane++)
                    for (long k = 0; k < K; k++)
                        block[(k * columns + n) * W + lane] = first + lane < l.H ? source[(row + lane) * K + k] : T(0);
            }
        }
        for (long n = 0; n < p.columns(); n++)
            for (long lane = 0; lane < W; lane++) {
                const long first = p.unit(q, n), row = p.gate(n) * l.H + first + lane;
                const bool gru_x = l.kind == Kind::gru && n == 2, gru_h = l.kind == Kind::gru && n == 3;
                T b = 0;
                if (first + lane < l.H) {
                    if (l.bias_ih && !gru_h) b += l.bias_ih[row];
                    if (l.bias_hh && !gru_x) b += l.bias_hh[row];
                }
                bias[(q * p.columns() + n) * W + lane] = b;
            }
    }
}

// The unit-wise part of a step for one row's vector of units.
template <class T, Kind kind, bool plain>
HF_INLINE void forward_unit(const Layer<T>& l, const Unit<T>& u, T* g, T* h, T* c) {
    if constexpr (kind == Kind::rnn) rnn_forward<T, plain>(l.options, u, g, h, h);
    if constexpr (kind == Kind::lstm) lstm_forward<T, plain>(l.options, u, g, h, h, c);
    if constexpr (kind == Kind::gru) gru_forward<T, plain>(l.options, u, g, h, h);
}

template <class T, Kind kind, int N, bool plain>
void forward_rows(const Layer<T>& l, const Panels& p, const Rows& rows, long thread, const T* packed, const T* bias) {
    constexpr long W = lanes<T>;
    constexpr bool gru = kind == Kind::gru;
    constexpr int NH = gru ? 3 : N, NX = NH, last_h = N - 1, last_x = gru ? 2 : N - 1;
    constexpr auto tiles = by_rows<tile_rows<T, N>>([](auto m) { return gates_tile<T, m, N, NH, last_h, last_x>; });
    const long first = rows.start[thread], R = rows.start[thread + 1] - first;
    const long ldh = padded_stride(p.padded, W), ldx = padded_stride(l.I, W), panel = (l.H * NH + l.I * NX) * W;
    Scratch& scratch = Scratch::begin();
    T* h = scratch.take<T>(R * ldh);
    T* h_in = l.state_mask ? scratch.take<T>(R * ldh) : h;
    T* x = scratch.take<T>(R * ldx);
    T* c = kind == Kind::lstm ? scratch.take<T>(R * p.padded) : nullptr;
    T* one_step = l.gates ? nullptr : scratch.take<T>(p.count * R * p.width());
    std::fill(h, h + R * ldh, T(0));
    for (long r = 0; r < R; r++) {
        const long b = rows.order[first + r];
        std::copy_n(l.h0 + b * l.H, l.H, h + r * ldh);
        if (c) {
            std::fill_n(c + r * p.padded, p.padded, T(0));
            std::copy_n(l.c0 + b * l.H, l.H, c + r * p.padded);
        }
        const long length = rows.length[b];
        std::fill_n(l.y + (b * l.T_ + length) * l.H, (l.T_ - length) * l.H, T(0));
    }
    for (long step = 0; step < l.T_; step++) {
        const long t = l.reverse ? l.T_ - 1 - step : step, n = rows.active(thread, t);
        if (!n) continue;
        for (long r = 0; r < n; r++) {
            const long b = rows.order[first + r];
            const T* source = l.x + b * l.x_row + t * l.x_step;
            if (l.x_value == 1)
                std::copy_n(source, l.I, x + r * ldx);
            else
                for (long k = 0; k < l.I; k++) x[r * ldx + k] = source[k * l.x_value];
            if (l.state_mask)
                for (long k = 0; k < l.H; k++) h_in[r * ldh + k] = h[r * ldh + k] * l.state_mask[b * l.H + k];
            if (l.c_before) std::copy_n(c + r * p.padded, p.padded, l.c_before + (t * l.B + first + r) * p.padded);
        }
        for (long q = 0; q < p.count; q++) {
            T* g = l.gates ? l.gates + ((t * p.count + q) * l.B + first) * p.width() : one_step + q * R * p.width();
            const T *B_h = packed + q * panel, *B_x = B_h + l.H * NH * W, *b0 = bias + q * N * W;
            over_rows(n, tiles.size(), [&](long m, long r) {
                tiles[m - 1](b0, {h_in + r * ldh, ldh, B_h, l.H}, {x + r * ldx, ldx, B_x, l.I}, g + r * N * W);
            });
        }
        for (long q = 0; q < p.count; q++) {
            T* g = l.gates ? l.gates + ((t * p.count + q) * l.B + first) * p.width() : one_step + q * R * p.width();
            for (long r = 0; r < n; r++, g += N * W)
                for (long v = 0; v < p.units; v++) {
                    const long at = (q * p.units + v) * W;
                    if (at >= l.H) break;
                    const Unit<T> u = plain ? Unit<T>{W} : unit_at(l, rows.order[first + r], t, at);
                    forward_unit<T, kind, plain>(l, u, g + v * W, h + r * ldh + at, c ? c + r * p.padded + at : nullptr);
                }
        }
        for (long r = 0; r < n; r++) {
            const long b = rows.order[first + r];
            std::copy_n(h + r * ldh, l.H, l.y + (b * l.T_ + t) * l.H);
            if (l.c_all) std::copy_n(c + r * p.padded, l.H, l.c_all + (b * l.T_ + t) * l.H);
        }
    }
    for (long r = 0; r < R; r++) {
        const long b = rows.order[first + r];
        std::copy_n(h + r * ldh, l.H, l.h_n + b * l.H);
        if (c) std::copy_n(c + r * p.padded, l.H, l.c_n + b * l.H);
    }
}

template <class T, Kind kind, int N, bool plain>
void run_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    const Rows rows(l.lengths, l.B, l.T_, l.threads);
    constexpr int NB = kind == Kind::gru ? 3 : N;
    Scratch& scratch = Scratch::begin(Scratch::caller);
    T* packed = scratch.take<T>(p.count * (l.H + l.I) * NB * p.W);
    T* bias = scratch.take<T>(p.count * p.width());
    pack_forward(l, p, NB, N - 1, NB, packed, bias);
#pragma omp parallel num_threads(int(rows.threads()))
    forward_rows<T, kind, N, plain>(l, p, rows, omp_get_thread_num(), packed, bias);
}

}  // namespace holdfast::HOLDFAST_ISA
