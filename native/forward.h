// The loop over time, forward.
#pragma once

#include "gate_sums.h"
#include "units.h"

namespace holdfast::HOLDFAST_ISA {

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
    m.ldh = padded_stride(p.padded, pair<T> * p.W);  // so rows of operands begin with a cache line too
    m.ld_in = l.masks * m.ldh;
    m.ldx = padded_stride(l.I, pair<T> * p.W);
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
    Vec<T> v = load<T>(h);
    if constexpr (on_tiles<T>) v = only<T>(v, l.O - at);  // tiles read one value more if O is odd
    if (!l.state_mask) return put<T>(to, v, l.rounded);
    for (long k = 0; k < l.masks; k++) put<T>(to + k * ldh, v * load_some<T>(l.mask(b, k) + at, l.O - at), l.rounded);
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

// The number of rows whose gates are computed before their units. These gates stay in the first-level cache.
constexpr long block = 96;

// What one thread does in a call. It computes the sums of the gates for a block of rows of one panel, then the units
// of that block, two rows side by side. A single row instead takes all panels, and two panels side by side.
template <class T, Kind kind, int N>
class Forward {
    static constexpr long W = lanes<T>, width = N * W;
    static constexpr bool lstm = kind == Kind::lstm;
    using Weights = ForwardWeights<T, kind, N>;

  public:
    Forward(const Layer<T>& l, const Panels& p, Team& team, long thread, const ForwardMemory<T>& memory)
        : l_(l), p_(p), team_(team), thread_(thread), memory_(memory), rows_(team.rows), group_(team.group(thread)),
          first_(rows_.start[group_]), panels_(Share::of(p.count, team.member(thread), team.members)),
          weights_(l, p, memory.packed), sums_(l, p, panels_, weights_, memory.ld_in, memory.ldh, memory.ldx),
          units_(forward_units_of(l)), writes_more_(has_h_in(l) || l.c_all),
          x_(memory.x + thread * memory.x_thread), c_(memory.c + first_ * p.padded) {
        for (int k = 0; k < 2; k++) {
            h_[k] = memory.h[k] + first_ * memory.ldh;
            h_in_[k] = memory.h_in[k] + first_ * memory.ld_in;
        }
    }

    void run() {
        begin_rows(l_, p_, team_, thread_, memory_);
        team_.wait(thread_);
        for (long step = 0; step < l_.T_; step++) {
            t_ = l_.reverse ? l_.T_ - 1 - step : step;
            const long n = rows_.active(group_, t_);
            if (!n && l_.reverse) continue;
            if (!n) break;
            for (long r = 0; r < n; r++)
                put_values<T>(x_ + r * memory_.ldx, l_.x.at(rows_.order[first_ + r], t_), l_.x_value, l_.I,
                              l_.rounded);
            if (l_.B == 1)
                one_row();
            else
                for (long q = panels_.begin; q < panels_.end; q++) panel(q, n);
            team_.wait(thread_);
            std::swap(h_[0], h_[1]);
            std::swap(h_in_[0], h_in_[1]);
        }
        end_rows(l_, p_, team_, thread_, memory_);
    }

  private:
    // Where the gates of row r of panel q are kept, or this thread's memory for a block.
    T* gates(long q, long r) const {
        return l_.gates ? l_.gates + ((t_ * p_.count + q) * l_.B + first_ + r) * width
                        : memory_.gates + thread_ * memory_.gates_thread;
    }

    void panel(long q, long n) {
        for (long r = 0; r < n; r += block) {
            const long m = std::min(block, n - r);
            T* g = gates(q, r);
            sums_(q, weights_.bias(q), h_in_[0] + r * memory_.ld_in, x_ + r * memory_.ldx, m, g);
            for (long v = 0; v < p_.units; v++) units((q * p_.units + v) * W, 0, r, m, g + v * W);
        }
    }

    void one_row() {
        T* const g = gates(panels_.begin, 0);
        for (long q = panels_.begin; q < panels_.end; q++)
            sums_(q, weights_.bias(q), h_in_[0], x_, 1, g + (q - panels_.begin) * width);
        const long apart = p_.units * W;
        for (long v = 0; v < p_.units; v++) {
            const long first = (panels_.begin * p_.units + v) * W, vectors = (l_.H - first + apart - 1) / apart;
            units(first, apart, 0, std::min(panels_.size(), vectors), g + v * W);
        }
    }

    // The vector of units from `first` on of `count` rows from r on; or, if `apart` is not 0, of row r that many
    // vectors, each `apart` units after the one before. g: their gates, `width` values from one to the next.
    void units(long first, long apart, long r, long count, T* g) {
        if (first >= l_.H) return;
        const long at = r * memory_.ldh + first, at_c = r * p_.padded + first;
        T* const c_before = lstm && l_.c_before ? l_.c_before + (t_ * l_.B + first_) * p_.padded + at_c : nullptr;
        const long next_h = apart ? apart : memory_.ldh;
        units_({l_, &rows_.order[first_ + r], t_, first, apart, count, g, width, h_[0] + at, next_h, h_[1] + at, next_h,
                lstm ? c_ + at_c : nullptr, c_before, apart ? apart : p_.padded});
        for (long k = 0; k < count && writes_more_; k++) write_more(apart ? r : r + k, first + k * apart);
    }

    // Writes the h of units as the product reads it, and c where it is wanted.
    void write_more(long r, long at) {
        const long b = rows_.order[first_ + r];
        if (has_h_in(l_))
            put_state(l_, h_[1] + r * memory_.ldh + at, h_in_[1] + r * memory_.ld_in + at, memory_.ldh, b, at);
        if (lstm && l_.c_all)
            store_some<T>(l_.c_all.at(b, t_) + at, load<T>(c_ + r * p_.padded + at), l_.H - at);
    }

    const Layer<T>& l_;
    const Panels& p_;
    Team& team_;
    const long thread_;
    const ForwardMemory<T>& memory_;
    const Rows& rows_;
    const long group_, first_;  // the group and its first row
    const Share panels_;
    const Weights weights_;
    const GateSums<T, kind, N> sums_;
    void (*const units_)(const UnitsForward<T>&);
    const bool writes_more_;
    Operand<T>* const x_;
    T* const c_;
    T* h_[2];  // the h that a step reads, and the h that it writes
    Operand<T>* h_in_[2];
    long t_;  // the step
};

template <class T, Kind kind, int N>
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
        m.gates_thread = (l.B == 1 ? p.count : block) * p.width();
        m.gates = l.gates ? nullptr : scratch.take<T>(team.threads * m.gates_thread);
        return [&, m, packed](long thread) {
            if (packed) {
                Weights::pack(l, p, Share::of(p.count, thread, team.threads), packed);
                team.wait_for_all();
            }
            Forward<T, kind, N>(l, p, team, thread, m).run();
        };
    });
}

}  // namespace holdfast::HOLDFAST_ISA
