// The loop over time, backward. The gradients of the weights come after it: weight_gradients.h.
#pragma once

#include "pack.h"
#include "product.h"
#include "units.h"
#include "weight_gradients.h"

namespace holdfast::HOLDFAST_ISA {

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

// Writes the gradient of x at step t, from the gates' gradients `g` times the input weights.
template <class T>
void write_dx(const Layer<T>& l, const Operand<T>* g, const Slots& slots, const long* order, long rows, long t,
              const Operand<T>* packed, Share share) {
    auto put = [&](long r, long at, Vec<T> sum) { store_some<T>(l.dx.at(order[r], t) + at, sum, l.I - at); };
    if (l.dx) times_transposed<T>(g, slots, rows, packed, l.I, share, put);
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

// Sets dh and dc of the group's rows in a share to the gradients of the final state, and dx past their length to 0.
// The rows of dh and dc, from the group's `first` row on, are `ldh` and `ldc` values apart.
template <class T>
void begin_gradients(const Layer<T>& l, const Rows& rows, long first, Share share, T* dh, long ldh, T* dc, long ldc) {
    auto begin_with = [](T* to, long padded, const T* from, long size) {
        std::fill_n(to, padded, T(0));
        if (from) std::copy_n(from, size, to);
    };
    for (long r = share.begin; r < share.end; r++) {
        const long b = rows.order[first + r];
        begin_with(dh + r * ldh, ldh, l.dh_n ? l.dh_n + b * l.O : nullptr, l.O);
        if (l.kind == Kind::lstm) begin_with(dc + r * ldc, ldc, l.dc_n ? l.dc_n + b * l.H : nullptr, l.H);
        if (l.dx)
            for (long t = rows.length[b]; t < l.T_; t++) std::fill_n(l.dx.at(b, t), l.I, T(0));
    }
}

// Writes the gradients of the initial state.
template <class T>
void end_gradients(const Layer<T>& l, const Rows& rows, long first, Share share, const T* dh, long ldh, const T* dc,
                   long ldc) {
    for (long r = share.begin; r < share.end; r++) {
        const long b = rows.order[first + r];
        if (l.dh0) std::copy_n(dh + r * ldh, l.O, l.dh0 + b * l.O);
        if (l.dc0) std::copy_n(dc + r * ldc, l.H, l.dc0 + b * l.H);
    }
}

// Adds the gradients `given` of step t to the rows of `to`, which are `ld` values apart, for the values in a share. Row
// r is row order[r] of the batch. In a loop of its own the processor fetches many of these distant rows at once. The
// step that comes next is asked for in advance.
template <class T>
void add_given(const Steps<const T>& given, const long* order, long rows, long t, long next, Share share, T* to,
               long ld) {
    if (!given) return;
    for (long r = 0; r < rows; r++, to += ld) {
        const T* from = given.at(order[r], t);
        for (long k = share.begin; k < share.end; k += lanes<T>)
            store<T>(to + k, load<T>(to + k) + load_some<T>(from + k, share.end - k));
        prefetch(given.at(order[r], next), share.begin, share.end);
    }
}

// The memory of a call; rows in the order of Team.
template <class T>
struct BackwardMemory {
    Operand<T> *packed_h, *packed_x;
    Operand<T>* dgates;  // of one step, where operands lie in pairs; otherwise the products read `gates` itself
    T *dh, *dc, *dpeephole;
    long dpeephole_thread;
};

// What one thread does in the loop over time.
template <class T, Kind kind, int N>
class Backward {
    static constexpr long W = lanes<T>, width = N * W;
    static constexpr bool gru = kind == Kind::gru, lstm = kind == Kind::lstm;
    static constexpr long units = kind == Kind::rnn ? N : 1;  // vectors of units in a panel

  public:
    Backward(const Layer<T>& l, const Panels& p, Team& team, long thread, const BackwardMemory<T>& memory)
        : l_(l), p_(p), team_(team), rows_(team.rows), memory_(memory), thread_(thread), member_(team.member(thread)),
          group_(team.group(thread)), first_(rows_.start[group_]), panels_(Share::of(p.count, member_, team.members)),
          dh_(memory.dh + first_ * p.padded), dc_(memory.dc + first_ * p.padded),
          dpeephole_(memory.dpeephole + thread * memory.dpeephole_thread) {}

    void run() {
        std::fill_n(dpeephole_, memory_.dpeephole_thread, T(0));
        begin_gradients(l_, rows_, first_, share_of_rows(), dh_, p_.padded, dc_, p_.padded);
        team_.wait(thread_);
        for (long number = l_.T_ - 1; number >= 0; number--) {
            const long t = l_.reverse ? l_.T_ - 1 - number : number, n = rows_.active(group_, t);
            if (!n && !l_.reverse) continue;
            if (!n) break;
            T* gates = l_.gates + (t * p_.count * l_.B + first_) * width;
            Operand<T>* operands;
            if constexpr (paired<T>)
                operands = memory_.dgates + first_ * width;
            else
                operands = gates;
            add_to_units(t, n);
            for (long q = panels_.begin; q < panels_.end; q++) {
                panel(t, n, q, gates + q * l_.B * width);
                if (paired<T> || l_.rounded) put_panel(n, gates + q * l_.B * width, operands + q * l_.B * width);
            }
            team_.wait(thread_);
            products(t, n, operands);
            team_.wait(thread_);
        }
        end_gradients(l_, rows_, first_, share_of_rows(), dh_, p_.padded, dc_, p_.padded);
    }

  private:
    Share share_of_rows() const { return Share::of(rows_.start[group_ + 1] - first_, member_, team_.members); }

    // Adds the gradients of y and of the cell states of step t to dh and dc, for the units of the thread, and asks for
    // the rest that these units read.
    void add_to_units(long t, long n) {
        const Share share{panels_.begin * units * W, std::min(panels_.end * units * W, l_.H)};
        const long *order = &rows_.order[first_], next = l_.reverse ? t + 1 : t - 1;
        add_given(l_.dy, order, n, t, next, share, dh_, p_.padded);
        if constexpr (lstm) add_given(l_.dc_all, order, n, t, next, share, dc_, p_.padded);
        for (long r = 0; r < n; r++) {
            const long row = (t * l_.B + order[r]) * l_.H;
            if constexpr (gru) prefetch(previous_h(l_, rows_.length.data(), order[r], t), share.begin, share.end);
            if constexpr (lstm) prefetch(l_.c_before + (t * l_.B + first_ + r) * p_.padded, share.begin, share.end);
            if (l_.candidate) prefetch(l_.candidate + row, share.begin, share.end);
            if (l_.zoned_h) prefetch(l_.zoned_h + row, share.begin, share.end);
            if (l_.zoned_c) prefetch(l_.zoned_c + row, share.begin, share.end);
        }
    }

    // The gradients of the gates' sums `g` of a panel, for all rows.
    void panel(long t, long n, long q, T* g) {
        const long first = q * units * W;
        const T* c_before = lstm ? l_.c_before + (t * l_.B + first_) * p_.padded + first : nullptr;
        units_({l_, &rows_.order[first_], rows_.length.data(), t, first, units, n, g, width, c_before, p_.padded,
                dh_ + first, lstm ? dc_ + first : nullptr, p_.padded, l_.peephole ? dpeephole_ + first : nullptr,
                p_.padded});
    }

    // Writes a panel of gradients as the products read it.
    void put_panel(long n, const T* g, Operand<T>* to) {
        for (long k = 0; k < n * width; k += W) put<T>(to + k, load<T>(g + k), l_.rounded);
    }

    // Adds the gradient of h before the step to dh, and writes the gradient of x.
    void products(long t, long n, const Operand<T>* operands) {
        // Of the GRU's slots, the h product reads r, z and u_n, the x product r, z and n.
        const Slots slots_h{width, gru ? 2 : N, 1, gru ? 1 : 0, l_.B * width, p_.count, p_.last_lanes()};
        const Share panels_h = Share::of(panels_of_4(l_.H, W), member_, team_.members);
        add_to_state<T>(l_, operands, slots_h, &rows_.order[first_], n, memory_.packed_h, panels_h, dh_, p_.padded);
        const Slots slots_x{width, gru ? 3 : N, 0, 0, l_.B * width, p_.count, p_.last_lanes()};
        const Share panels_x = Share::of(panels_of_4(l_.I, W), team_.members - 1 - member_, team_.members);
        write_dx(l_, operands, slots_x, &rows_.order[first_], n, t, memory_.packed_x, panels_x);
    }

    const Layer<T>& l_;
    const Panels& p_;
    Team& team_;
    const Rows& rows_;
    const BackwardMemory<T>& memory_;
    const long thread_, member_, group_, first_;  // the group and its first row
    const Share panels_;
    void (*const units_)(const UnitsBackward<T>&) = backward_units_of(l_);
    T *dh_, *dc_, *dpeephole_;  // from the group's first row on; the thread's sums
};

// Adds up the values of all threads, which are `stride` apart from thread to thread.
template <class T>
void add_up(const Team& team, const T* of_threads, long stride, long values, T* to) {
    for (long k = 0; k < values; k++) {
        T sum = 0;
        for (long thread = 0; thread < team.threads; thread++) sum += of_threads[thread * stride + k];
        to[k] = sum;
    }
}

template <class T, Kind kind, int N>
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
            Backward<T, kind, N>(l, p, team, thread, m).run();
            team.wait_for_all();
            gradients.run(thread);
            if (l.peephole && thread == 0)
                for (long g = 0; g + 1 < p.gates; g++)
                    add_up(team, m.dpeephole + g * p.padded, m.dpeephole_thread, l.H, l.dpeephole + g * l.H);
        };
    });
}

}  // namespace holdfast::HOLDFAST_ISA
