// What the loops over time share: how units lie in vectors and panels, and what belongs to a row at a step.
//
// layer.h is the contract of a kernel. Groups of threads (threads.h) share the rows of the batch; a group goes through
// all steps without waiting for other groups. The threads of a group share the panels and wait for one another at
// every step. After the loop backward, all threads share the gradients of the weights.
#pragma once

#include <algorithm>

#include "gates.h"
#include "layer.h"
#include "matmul.h"
#include "threads.h"

namespace holdfast::HOLDFAST_ISA {

// How a cell's units and slots lie in vectors and panels. A panel is the columns of one tile: the slots of `units`
// vectors of units.
struct Panels {
    long H, W, gates, slots, units, count, padded;  // `count` panels; H rounded up to `padded`

    template <class T>
    static Panels of(const Layer<T>& l) {
        const long H = l.H, W = lanes<T>, vectors = (H + W - 1) / W;
        const long gates = l.gate_count(), slots = l.kind == Kind::gru ? 4 : gates;
        const long in_pairs = (vectors + 1) / 2;  // one slot: two or four vectors of units, with the least padding
        const long units = l.kind != Kind::rnn ? 1 : in_pairs % 2 ? 2 : 4;
        const long count = (vectors + units - 1) / units;
        return {H, W, gates, slots, units, count, count * units * W};
    }
    // Panels of H values without gates, with `units` vectors per panel.
    static Panels in_panels_of(long units, long H, long W) {
        const long count = (H + units * W - 1) / (units * W);
        return {H, W, 1, 1, units, count, count * units * W};
    }
    long columns() const { return slots * units; }  // vectors in a tile
    long width() const { return columns() * W; }    // values in a row of a tile
    // The first unit and the gate (row block of torch's weights) of a tile's column.
    long unit(long panel, long column) const { return (panel * units + (slots == 1 ? column : 0)) * W; }
    long gate(long column) const { return slots == 1 ? 0 : column == 3 && gates == 3 ? 2 : column; }
    // The row of torch's weights for a column's first lane, and how many of its lanes are units.
    long row(long panel, long column) const { return gate(column) * H + unit(panel, column); }
    long lanes_of(long panel, long column) const { return std::clamp(H - unit(panel, column), 0L, W); }
    // lanes_of for every column of the last panel; W where the columns are different units.
    long last_lanes() const { return units == 1 ? H - (count - 1) * W : W; }
};

// A stride of rows that is not a large power of two: such rows would share a few lines of the cache.
inline long padded_stride(long values, long W) {
    long vectors = (values + W - 1) / W;
    return (vectors + (vectors % 2 == 0)) * W;
}

// A share of `count` things: from `begin` to `end` (excluded).
struct Share {
    long begin, end;

    static Share of(long count, long member, long members) {
        return {count * member / members, count * (member + 1) / members};
    }
    long size() const { return end - begin; }
};

// The rows of the largest group.
inline long most_rows(const Rows& rows) {
    long most = 0;
    for (long k = 0; k < rows.groups(); k++) most = std::max(most, rows.start[k + 1] - rows.start[k]);
    return most;
}

// How many threads a call is worth. Waking a thread takes as long as about 2^18 multiply-adds; where threads share
// units and wait for one another at every step, each wait takes as long as about 2^14.
template <class T>
long threads_for(const Layer<T>& l, const Panels& p) {
    if (sanitized) return std::max(1L, l.threads);
    const long step = l.B * p.gates * l.H * (l.I + l.O);
    const long threads = std::clamp(step * l.T_ >> 19, 1L, std::max(1L, l.threads));
    return Team::shares_units(l.B, threads) ? std::clamp(step >> 15, 1L, threads) : threads;
}

// Calls run(wanted), which returns the number of available threads, until that is the number that was wanted.
template <class Run>
void in_threads(long wanted, Run run) {
    for (long available; (available = run(wanted)) != wanted;) wanted = available;
}

// Plans a call for its threads and runs it. plan(team) takes the memory and returns a function of the thread's number.
// If there are fewer threads than wanted, plans again for these.
template <class T, class Plan>
void run_in_team(const Layer<T>& l, const Panels& p, Plan plan) {
    for (long wanted = threads_for(l, p);;) {
        Team team(l.lengths, l.B, l.T_, wanted);
        auto work = plan(team);
        const long available = parallel(wanted, [&](long thread) { work(thread); });
        if (available == wanted) return;
        wanted = available;
    }
}

// h of row b before step t; `length`: the lengths of all rows, or null.
template <class T>
const T* previous_h(const Layer<T>& l, const long* length, long b, long t) {
    const long before = l.reverse ? t + 1 : t - 1;
    return before < 0 || before >= (length ? length[b] : l.T_) ? l.h0 + b * l.O : l.y.at(b, before);
}

// What belongs to the vector of units from `first` on, of row b at step t; beside it, of row `next`.
template <class T>
HF_INLINE Unit<T> unit_at(const Layer<T>& l, long b, long t, long first, long next) {
    Unit<T> u{std::min(lanes<T>, l.H - first)};
    const long at = (t * l.B + b) * l.H + first;
    if (l.peephole) {
        u.peephole = l.peephole + first;
        u.peephole_stride = l.H;
    }
    if (l.candidate) u.candidate = l.candidate + at;
    if (l.zoned_h) u.zoned_h = l.zoned_h + at;
    if (l.zoned_c) u.zoned_c = l.zoned_c + at;
    u.apart = (next - b) * l.H;
    return u;
}
template <class T>
Unit<T> unit_at(const Layer<T>& l, long b, long t, long first) {
    return unit_at(l, b, t, first, b);
}

}  // namespace holdfast::HOLDFAST_ISA
