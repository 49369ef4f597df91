// The loop over time, backward, and after it the gradients of the weights.
#pragma once

#include <omp.h>

#include <algorithm>
#include <vector>

#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// Packed for backward: for each panel q of up to 4 vectors of outputs (first the units of h, then the values of x), and
// each panel of gates, [slots that take part * W][vectors of q].
template <class T>
void pack_transposed(const Layer<T>& l, const Panels& p, bool state, int parts, int last, long outputs, const T* source,
                     T* out) {
    const long W = p.W, vectors = (outputs + W - 1) / W;
    for (long q = 0; q < vectors; q += 4) {
        const long N = std::min(4L, vectors - q);
        for (long panel = 0; panel < p.count; panel++)
            for (int part = 0; part < parts; part++) {
                const long column = state && part + 1 == parts ? last : part;
                const long first = p.unit(panel, column), row = p.gate(column) * l.H + first;
                for (long lane = 0; lane < W; lane++, out += N * W)
                    for (long k = 0; k < N * W; k++) {
                        const long output = q * W + k;
                        out[k] = first + lane < l.H && output < outputs ? source[(row + lane) * outputs + output] : T(0);
                    }
            }
    }
}

template <class T, Kind kind, bool plain>
HF_INLINE void backward_unit(const Layer<T>& l, const Unit<T>& u, T* g, const T* h_old, const T* c_old, T* dh, T* dc) {
    if constexpr (kind == Kind::rnn) rnn_backward<T, plain>(l.options, u, g, dh);
    if constexpr (kind == Kind::lstm) lstm_backward<T, plain>(l.options, u, g, c_old, dh, dc);
    if constexpr (kind == Kind::gru) gru_backward<T, plain>(l.options, u, g, h_old, dh);
}

// Calls take(row, first output, the sum) for every row and vector of outputs of the gates' gradients times `packed`.
template <class T, class Take>
void times_transposed(const T* g, const Slots& slots, long rows, const T* packed, long vectors, Take take) {
    constexpr long W = lanes<T>;
    auto panel = [&](auto columns, long first) {
        constexpr int N = columns;
        constexpr auto tiles = by_rows<tile_rows<T, N>>([](auto m) { return transposed_tile<T, m, N>; });
        alignas(64) T out[tile_rows<T, N> * N * W];
        over_rows(rows, tiles.size(), [&](long m, long r) {
            tiles[m - 1](g + r * slots.row, slots, packed, out);
            for (long k = 0; k < m; k++)
                for (long n = 0; n < N; n++) take(r + k, (first + n) * W, load<T>(out + (k * N + n) * W));
        });
        packed += slots.panels * (slots.head + slots.tail) * N * W;
    };
    for (long q = 0; q < vectors; q += 4) {
        if (vectors - q >= 4) panel(std::integral_constant<int, 4>{}, q);
        if (vectors - q == 3) panel(std::integral_constant<int, 3>{}, q);
        if (vectors - q == 2) panel(std::integral_constant<int, 2>{}, q);
        if (vectors - q == 1) panel(std::integral_constant<int, 1>{}, q);
    }
}

template <class T, Kind kind, int N, bool plain>
void backward_rows(const Layer<T>& l, const Panels& p, const Rows& rows, long thread, const T* packed_h,
                   const T* packed_x, T* dpeephole) {
    constexpr long W = lanes<T>;
    constexpr bool gru = kind == Kind::gru;
    const long first = rows.start[thread], R = rows.start[thread + 1] - first, Hp = p.padded, row = p.width();
    const long vectors_h = (l.H + W - 1) / W, vectors_x = (l.I + W - 1) / W, ldx = vectors_x * W;
    // Of the GRU's slots, the state's product sees r, z and u_n, the input's r, z and n.
    const Slots slots_h{row, gru ? 2 * W : row, W, gru ? W : 0, l.B * row, p.count};
    const Slots slots_x{row, gru ? 3 * W : row, 0, 0, l.B * row, p.count};
    Scratch& scratch = Scratch::begin();
    T* dh = scratch.take<T>(R * Hp);
    T* dc = kind == Kind::lstm ? scratch.take<T>(R * Hp) : nullptr;
    T* h_old = gru ? scratch.take<T>(R * Hp) : nullptr;
    T* dx = l.dx ? scratch.take<T>(R * ldx) : nullptr;
    std::fill(dh, dh + R * Hp, T(0));
    if (dc) std::fill(dc, dc + R * Hp, T(0));
    if (h_old) std::fill(h_old, h_old + R * Hp, T(0));
    for (long r = 0; r < R; r++) {
        const long b = rows.order[first + r], length = rows.length[b];
        if (l.dh_n) std::copy_n(l.dh_n + b * l.H, l.H, dh + r * Hp);
        if (dc && l.dc_n) std::copy_n(l.dc_n + b * l.H, l.H, dc + r * Hp);
        if (dx) std::fill_n(l.dx + (b * l.T_ + length) * l.I, (l.T_ - length) * l.I, T(0));
    }
    for (long step = l.T_ - 1; step >= 0; step--) {
        const long t = l.reverse ? l.T_ - 1 - step : step, n = rows.active(thread, t);
        if (!n) continue;
        for (long r = 0; r < n; r++) {
            const long b = rows.order[first + r];
            if (l.dy)
                for (long k = 0; k < l.H; k++) dh[r * Hp + k] += l.dy[(b * l.T_ + t) * l.H + k];
            if (l.dc_all)
                for (long k = 0; k < l.H; k++) dc[r * Hp + k] += l.dc_all[(b * l.T_ + t) * l.H + k];
            if (h_old) std::copy_n(previous_h(l, rows, b, t), l.H, h_old + r * Hp);
        }
        T* gates = l.gates + (t * p.count * l.B + first) * row;
        for (long q = 0; q < p.count; q++) {
            T* g = gates + q * l.B * row;
            for (long r = 0; r < n; r++, g += row)
                for (long v = 0; v < p.units; v++) {
                    const long at = (q * p.units + v) * W;
                    T* slots = g + v * W;
                    if (at >= l.H) {
                        store<T>(slots, Vec<T>{});
                        continue;
                    }
                    Unit<T> u = plain ? Unit<T>{W} : unit_at(l, rows.order[first + r], t, at);
                    if (!plain && l.peephole) u.peephole_gradient = dpeephole + at, u.gradient_stride = Hp;
                    const T* c_old = dc ? l.c_before + (t * l.B + first + r) * Hp + at : nullptr;
                    const T* old = h_old ? h_old + r * Hp + at : nullptr;
                    backward_unit<T, kind, plain>(l, u, slots, old, c_old, dh + r * Hp + at, dc ? dc + r * Hp + at : nullptr);
                }
        }
        auto add_to_dh = [&](long r, long at, Vec<T> sum) {
            T* into = dh + r * Hp + at;
            if (l.state_mask) sum = sum * load_some<T>(l.state_mask + rows.order[first + r] * l.H + at, std::min(W, l.H - at));
            store<T>(into, load<T>(into) + sum);
        };
        times_transposed<T>(gates, slots_h, n, packed_h, vectors_h, add_to_dh);
        if (dx) {
            auto put = [&](long r, long at, Vec<T> sum) { store<T>(dx + r * ldx + at, sum); };
            times_transposed<T>(gates, slots_x, n, packed_x, vectors_x, put);
            for (long r = 0; r < n; r++)
                std::copy_n(dx + r * ldx, l.I, l.dx + (rows.order[first + r] * l.T_ + t) * l.I);
        }
    }
    for (long r = 0; r < R; r++) {
        const long b = rows.order[first + r];
        std::copy_n(dh + r * Hp, l.H, l.dh0 + b * l.H);
        if (dc) std::copy_n(dc + r * Hp, l.H, l.dc0 + b * l.H);
    }
}

// The gradients of the weights and biases: for the panels from `begin` to before `end`,
//     [h 1]^T dgates and [x 1]^T dgates, summed over all rows and steps.
template <class T, Kind kind, int N>
void weight_gradients(const Layer<T>& l, const Panels& p, const Rows& rows, long begin, long end) {
    constexpr long W = lanes<T>;
    constexpr bool gru = kind == Kind::gru;
    constexpr int NB = gru ? 3 : N, last_h = N - 1, last_x = gru ? 2 : N - 1;
    const long KH = l.H + 1, KX = l.I + 1, at_x = (KH + W - 1) / W * W, ld = padded_stride(at_x + KX, W), row = p.width();
    const long wanted_rows = std::max(64L, std::min(256L, (256L << 10) / long(sizeof(T)) / ld));
    Scratch& scratch = Scratch::begin();
    T* A = scratch.take<T>(wanted_rows * ld);
    const long per_panel = (KH + KX) * NB * W;
    T* sums = scratch.take<T>((end - begin) * per_panel);
    std::fill(sums, sums + (end - begin) * per_panel, T(0));
    struct Chunk {
        long t, first, rows, at;
    };
    std::vector<Chunk> chunks;  // rows that stand together in the kept gates: of one step and thread, or a part of them
    std::vector<Stretch<T>> stretches;
    constexpr auto tiles_h = by_rows<tile_rows<T, NB>>([](auto m) { return outer_tile<T, m, NB, last_h>; });
    constexpr auto tiles_x = by_rows<tile_rows<T, NB>>([](auto m) { return outer_tile<T, m, NB, last_x>; });
    auto add = [&](long K, long at, const auto& tiles, T* into) {
        over_rows(K, tiles.size(), [&](long m, long k) {
            tiles[m - 1](A + at + k, ld, stretches.data(), long(stretches.size()), row, into + k * NB * W);
        });
    };
    auto add_chunk = [&] {
        for (long q = begin; q < end; q++) {
            T* into = sums + (q - begin) * per_panel;
            stretches.clear();
            for (const Chunk& c : chunks)
                stretches.push_back({l.gates + ((c.t * p.count + q) * l.B + c.first) * row, c.at, c.rows});
            add(KH, 0, tiles_h, into);
            add(KX, at_x, tiles_x, into + KH * NB * W);
        }
        chunks.clear();
    };
    long filled = 0;
    for (long t = 0; t < l.T_; t++)
        for (long k = 0; k < rows.threads(); k++)
            for (long from = 0, n = rows.active(k, t); from < n;) {
                const long first = rows.start[k] + from, count = std::min(n - from, wanted_rows - filled);
                chunks.push_back({t, first, count, filled});
                for (long r = 0; r < count; r++, filled++) {
                    const long b = rows.order[first + r];
                    T* into = A + filled * ld;
                    const T *h = previous_h(l, rows, b, t), *source = l.x + b * l.x_row + t * l.x_step;
                    if (l.state_mask)
                        for (long j = 0; j < l.H; j++) into[j] = h[j] * l.state_mask[b * l.H + j];
                    else
                        std::copy_n(h, l.H, into);
                    into[l.H] = 1;
                    for (long j = 0; j < l.I; j++) into[at_x + j] = source[j * l.x_value];
                    into[at_x + l.I] = 1;
                }
                from += count;
                if (filled == wanted_rows) add_chunk(), filled = 0;
            }
    add_chunk();
    for (long q = begin; q < end; q++)
        for (int state = 1; state >= 0; state--) {
            const T* from = sums + (q - begin) * per_panel + (state ? 0 : KH * NB * W);
            const long K = state ? l.H : l.I;
            T *weight = state ? l.dweight_hh : l.dweight_ih, *bias = state ? l.dbias_hh : l.dbias_ih;
            for (long j = 0; j < NB; j++) {
                const long column = state && j + 1 == NB ? last_h : j, first = p.unit(q, column);
                for (long lane = 0; lane < std::min(W, l.H - first); lane++) {
                    const long to = p.gate(column) * l.H + first + lane;
                    for (long k = 0; k < K; k++) weight[to * K + k] = from[(k * NB + j) * W + lane];
                    if (bias) bias[to] = from[(K * NB + j) * W + lane];
                }
            }
        }
}

template <class T, Kind kind, int N, bool plain>
void run_backward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    const Rows rows(l.lengths, l.B, l.T_, l.threads);
    constexpr int NB = kind == Kind::gru ? 3 : N;
    const long W = p.W, K = p.count * NB * W, threads = rows.threads();
    const long width_h = (l.H + W - 1) / W * W, width_x = (l.I + W - 1) / W * W, peepholes = p.gates - 1;
    Scratch& scratch = Scratch::begin(Scratch::caller);
    T* packed = scratch.take<T>(K * (width_h + width_x));
    const long for_peepholes = l.peephole ? peepholes * p.padded : 0;  // values of a thread
    T* dpeephole = scratch.take<T>(threads * for_peepholes);
    std::fill_n(dpeephole, threads * for_peepholes, T(0));
    pack_transposed(l, p, true, NB, N - 1, l.H, l.weight_hh, packed);
    if (l.dx) pack_transposed(l, p, false, NB, NB - 1, l.I, l.weight_ih, packed + K * width_h);
#pragma omp parallel num_threads(int(threads))
    {
        const long k = omp_get_thread_num();
        backward_rows<T, kind, N, plain>(l, p, rows, k, packed, packed + K * width_h,
                                         dpeephole + k * for_peepholes);
#pragma omp barrier
        weight_gradients<T, kind, N>(l, p, rows, p.count * k / threads, p.count * (k + 1) / threads);
    }
    if (l.peephole)
        for (long g = 0; g < peepholes; g++)
            for (long unit = 0; unit < l.H; unit++) {
                T sum = 0;
                for (long k = 0; k < threads; k++) sum += dpeephole[k * for_peepholes + g * p.padded + unit];
                l.dpeephole[g * l.H + unit] = sum;
            }
}

}  // namespace holdfast::HOLDFAST_ISA
