// One layer in one direction over a batch of sequences: the time loops, forward and backward.
//
// layer.h is the contract of a kernel. Rows are dealt to the threads once, the longest first, so that at every step those
// that are still running are the first of each thread's; a thread takes its rows through all steps without waiting for
// another. After the loop over time backward, the threads share the panels of the weight gradients.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "gates.h"
#include "matmul.h"

namespace holdfast::HOLDFAST_ISA {

// How a cell's units and slots lie in vectors and panels. A panel is the columns of one tile: the slots of `units`
// vectors of units.
struct Panels {
    long H, W, gates, slots, units, count, padded;  // `count` panels; H rounded up to `padded`

    template <class T>
    static Panels of(const Layer<T>& l) {
        return of(l.kind, l.options.coupled, l.H, lanes<T>);
    }
    static Panels of(Kind kind, bool coupled, long H, long W) {
        const long vectors = (H + W - 1) / W, gates = kind == Kind::lstm ? (coupled ? 3 : 4) : kind == Kind::gru ? 3 : 1;
        const long slots = kind == Kind::gru ? 4 : gates;
        long units = 1;
        if (kind == Kind::rnn) {  // one slot only: take several vectors of units, with as little padding as can be
            long best = -1;
            for (long u : {4, 3, 2, 1})
                if (long waste = (vectors + u - 1) / u * u; (best < 0 || waste < best) && (u > 1 || vectors == 1)) best = waste, units = u;
        }
        const long count = (vectors + units - 1) / units;
        return {H, W, gates, slots, units, count, count * units * W};
    }
    long columns() const { return slots * units; }               // vectors in a tile
    long width() const { return columns() * W; }                 // values in a row of a tile
    // The unit and gate (row block of torch's weights) of a tile's column; `state` as against input.
    long unit(long panel, long column) const { return (panel * units + (slots == 1 ? column : 0)) * W; }
    long gate(long column) const { return slots == 1 ? 0 : column == 3 && gates == 3 ? 2 : column; }
};

// Memory that a thread keeps from call to call; blocks are handed out in order after `begin`.
class Scratch {
  public:
    template <int of = 0>  // of a call's threads (0), or of the thread that calls them (1)
    static Scratch& begin() {
        static thread_local Scratch scratch;
        scratch.next_ = 0;
        return scratch;
    }
    template <class T>
    T* take(long count) {
        if (next_ == blocks_.size()) blocks_.push_back({nullptr, 0});
        auto& [data, size] = blocks_[next_++];
        const std::size_t wanted = (std::max(count, 1L) * sizeof(T) + 127) / 64 * 64;
        if (size < wanted) {
            std::free(data);
            size = 0;
            data = std::aligned_alloc(64, wanted);
            if (!data) throw std::bad_alloc();
            size = wanted;
        }
        return static_cast<T*>(data);
    }
    ~Scratch() {
        for (auto& [data, size] : blocks_) std::free(data);
    }

  private:
    std::vector<std::pair<void*, std::size_t>> blocks_;
    std::size_t next_ = 0;
};

// Which rows each thread has, longest first: thread k has order[start[k]] to before order[start[k + 1]].
struct Rows {
    std::vector<long> order, start, length;

    template <class T>
    explicit Rows(const Layer<T>& l) : order(l.B), length(l.B) {
        const long threads = std::max(1L, std::min<long>(l.threads, l.B));
        for (long b = 0; b < l.B; b++) length[b] = l.lengths ? l.lengths[b] : l.T_;
        std::vector<long> sorted(l.B);
        std::iota(sorted.begin(), sorted.end(), 0L);
        if (l.lengths) std::stable_sort(sorted.begin(), sorted.end(), [&](long a, long b) { return length[a] > length[b]; });
        start.resize(threads + 1);
        for (long k = 0; k <= threads; k++) start[k] = l.B * k / threads;
        if (!l.lengths) {
            order = sorted;
            return;
        }
        // Deal like cards, there and back, so that all threads get as many steps.
        std::vector<long> filled(start.begin(), start.end() - 1);
        long k = 0, direction = 1;
        for (long b : sorted) {
            while (filled[k] == start[k + 1]) std::tie(k, direction) = turned(k, direction, threads);
            order[filled[k]++] = b;
            std::tie(k, direction) = turned(k, direction, threads);
        }
    }
    long threads() const { return long(start.size()) - 1; }
    long active(long thread, long t) const {  // rows of a thread that are running at step t
        long n = 0;
        const long all = start[thread + 1] - start[thread];
        while (n < all && length[order[start[thread] + n]] > t) n++;
        return n;
    }

  private:
    static std::pair<long, long> turned(long k, long direction, long threads) {
        if (k + direction < 0 || k + direction == threads) return {k, -direction};
        return {k + direction, direction};
    }
};

// A row of strides that are no large power of two: such rows would fall into the same few lines of the cache.
inline long padded_stride(long values, long W) {
    long vectors = (values + W - 1) / W;
    return (vectors + (vectors % 2 == 0)) * W;
}

template <class T>
const T* previous_h(const Layer<T>& l, const Rows& rows, long b, long t) {
    const long before = l.reverse ? t + 1 : t - 1;
    return before < 0 || before >= rows.length[b] ? l.h0 + b * l.H : l.y + (b * l.T_ + before) * l.H;
}

template <class T>
Unit<T> unit_at(const Layer<T>& l, long b, long t, long first) {
    Unit<T> u{std::min(lanes<T>, l.H - first)};
    const long at = (t * l.B + b) * l.H + first;
    if (l.peephole) u.peephole = l.peephole + first, u.peephole_stride = l.H;
    if (l.candidate) u.candidate = l.candidate + at;
    if (l.zoned_h) u.zoned_h = l.zoned_h + at;
    if (l.zoned_c) u.zoned_c = l.zoned_c + at;
    return u;
}

// ---------------------------------------------------------------------------------------------------------- forward

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

// --------------------------------------------------------------------------------------------------------- backward

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

// ------------------------------------------------------------------------------------------------------- entry points

template <class T, Kind kind, int N, bool plain>
void run_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    const Rows rows(l);
    constexpr int NB = kind == Kind::gru ? 3 : N;
    Scratch& scratch = Scratch::begin<1>();
    T* packed = scratch.take<T>(p.count * (l.H + l.I) * NB * p.W);
    T* bias = scratch.take<T>(p.count * p.width());
    pack_forward(l, p, NB, N - 1, NB, packed, bias);
#pragma omp parallel num_threads(int(rows.threads()))
    forward_rows<T, kind, N, plain>(l, p, rows, omp_get_thread_num(), packed, bias);
}

template <class T, Kind kind, int N, bool plain>
void run_backward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    const Rows rows(l);
    constexpr int NB = kind == Kind::gru ? 3 : N;
    const long W = p.W, K = p.count * NB * W, threads = rows.threads();
    const long width_h = (l.H + W - 1) / W * W, width_x = (l.I + W - 1) / W * W, peepholes = p.gates - 1;
    T* packed = Scratch::begin<1>().take<T>(K * (width_h + width_x));
    std::vector<T> dpeephole(l.peephole ? threads * peepholes * p.padded : 0);
    pack_transposed(l, p, true, NB, N - 1, l.H, l.weight_hh, packed);
    if (l.dx) pack_transposed(l, p, false, NB, NB - 1, l.I, l.weight_ih, packed + K * width_h);
#pragma omp parallel num_threads(int(threads))
    {
        const long k = omp_get_thread_num();
        backward_rows<T, kind, N, plain>(l, p, rows, k, packed, packed + K * width_h,
                                         l.peephole ? dpeephole.data() + k * peepholes * p.padded : nullptr);
#pragma omp barrier
        weight_gradients<T, kind, N>(l, p, rows, p.count * k / threads, p.count * (k + 1) / threads);
    }
    if (l.peephole)
        for (long g = 0; g < peepholes; g++)
            for (long unit = 0; unit < l.H; unit++) {
                T sum = 0;
                for (long k = 0; k < threads; k++) sum += dpeephole[(k * peepholes + g) * p.padded + unit];
                l.dpeephole[g * l.H + unit] = sum;
            }
}

// Calls f with the kind, the columns of a tile and whether the options are plain, all known to the compiler.
template <class T, class F>
void dispatch(const Layer<T>& l, F f) {
    auto with = [&](auto kind, auto columns) {
        if (l.options.plain)
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

}  // namespace holdfast::HOLDFAST_ISA
