// The loop over time, forward, of the cells in stages.
#pragma once

#include "forward.h"
#include "stages.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
struct StagesForwardMemory : ForwardMemory<T> {
    const T* packed_stages;
    NormMemory<T> norm;
    StagesKept<T> kept;
};

// One thread's part of a call.
template <class T, Kind kind, int N>
class StagesForward {
    static constexpr long W = lanes<T>, width = N * W;
    static constexpr bool lstm = kind == Kind::lstm, gru = kind == Kind::gru;
    using Weights = ForwardWeights<T, kind, N>;
    using P = Parts<kind, N>;
    using Memory = StagesForwardMemory<T>;

  public:
    StagesForward(const Layer<T>& l, const Panels& p, Team& team, long thread, const Memory& memory)
        : l_(l), p_(p), team_(team), thread_(thread), memory_(memory), o_(l.options), norm_(l.options.norm),
          projects_(l.O != l.H), resets_(l.options.reset_before), rows_(team.rows), group_(team.group(thread)),
          first_(rows_.start[group_]), ldh_(memory.ldh), ld_in_(memory.ld_in), ldx_(memory.ldx),
          tiles_(gates_tiles_of<T, kind, N>(l)),
          panels_(Share::of(p.count, team.member(thread), team.members)), weights_(l, p, memory.packed),
          stages_(l, p, memory.packed_stages), x_(memory.x + thread * memory.x_thread), c_(memory.c + first_ * p.padded),
          together_(memory.norm, team, thread, P::all) {
        for (int k = 0; k < 2; k++) h_[k] = memory.h[k] + first_ * ldh_, h_in_[k] = memory.h_in[k] + first_ * ld_in_;
        if (projects_) o_.zoneout_h = 0;  // of the units: that of h' comes after the projection
    }

    void run() {
        begin_rows(l_, p_, team_, thread_, memory_);
        team_.wait(thread_);
        for (long number = 0; number < l_.T_; number++) {
            const long t = l_.reverse ? l_.T_ - 1 - number : number, n = rows_.active(group_, t);
            if (!n && l_.reverse) continue;
            if (!n) break;
            step(t, n);
            team_.wait(thread_);
            std::swap(h_[0], h_[1]), std::swap(h_in_[0], h_in_[1]);
        }
        end_rows(l_, p_, team_, thread_, memory_);
    }

  private:
    void step(long t, long n) {
        t_ = t;
        const long kept = l_.gates ? t : 0;  // there is memory for one step when nothing is kept
        const StagesKept<T>& k = memory_.kept;
        gates_ = memory_.gates + (kept * p_.count * l_.B + first_) * width;
        inner_ = k.inner + kept * k.inner_step + first_ * k.inner_row;
        products_[0] = k.input + kept * k.product_step + first_ * width;
        products_[1] = k.state + kept * k.product_step + first_ * width;
        cell_ = k.cell + kept * k.cell_step + first_ * p_.padded;
        scales_ = k.scales + kept * k.scales_step + first_ * k.parts;
        projected_ = k.projected + kept * k.projected_step + first_ * width;
        for (long r = 0; r < n; r++)
            put_values<T>(x_ + r * ldx_, l_.x.at(rows_.order[first_ + r], t), l_.x_value, l_.I, false);
        for (long q = panels_.begin; q < panels_.end; q++)
            over_rows(n, tiles_.size(), [&](long m, long r) __attribute__((always_inline)) {
                products(q, r, m);
                if (!norm_) units(q, r, r + m);
            });
        if (norm_) {
            normalise(0, P::count - resets_, n, panels_);
            for (long q = panels_.begin; q < panels_.end; q++) units(q, 0, n);
        }
        if constexpr (lstm)
            if (norm_) {
                normalise(P::cell, P::all, n, panels_);
                for (long q = panels_.begin; q < panels_.end; q++) outputs(q, n);
            }
        if constexpr (gru)
            if (resets_) candidates(n);
        if (projects_) project(n);
    }

    long units_of(Share panels) const {
        const long each = p_.units * W;
        return std::min(l_.H, panels.end * each) - std::min(l_.H, panels.begin * each);
    }
    T* row(T* of_step, long q, long r) const { return of_step + (q * l_.B + r) * width; }

    // The products of rows r to before r + m for panel q: together and with the biases, or each alone.
    void products(long q, long r, long m) {
        const Factors<T> h{h_in_[0] + r * ld_in_, ld_in_, weights_.state(q), l_.O, ldh_};
        const Factors<T> x{x_ + r * ldx_, ldx_, weights_.input(q), l_.I};
        const Factors<T> no_h{h.A, h.lda, h.B, 0}, no_x{x.A, x.lda, x.B, 0};
        auto state = [&](const T* from, const Factors<T>& input, T* out) {
            if constexpr (gru)
                if (resets_) {
                    constexpr auto add = by_rows<tile_rows<T, N>>([](auto m) { return add_tile<T, m, N, 2, false>; });
                    constexpr auto add_apart = by_rows<tile_rows<T, N>>([](auto m) { return add_tile<T, m, N, 2, true>; });
                    tiles_[m - 1](from, no_h, input, out);
                    (l_.masks > 1 ? add_apart : add)[m - 1](h, out);
                    return;
                }
            tiles_[m - 1](from, h, input, out);
        };
        if (!norm_) return state(weights_.bias(q), x, row(gates_, q, r));
        alignas(64) static const T zeros[width] = {};
        tiles_[m - 1](zeros, no_h, x, row(products_[0], q, r));
        state(zeros, no_x, row(products_[1], q, r));
        const bool begins = q == panels_.begin;
        for (long end = r + m; r < end; r++)
            for (int k = 0; k < P::count - resets_; k++) {
                const Part part = P::of(k);
                together_.add(k, r, begins, row(products_[part.state], q, r) + part.begin * W, part.end - part.begin,
                              [&](long n) { return p_.lanes_of(q, part.begin + n); });
            }
    }

    // Makes the means and scales of parts known, of which this thread has added what belongs to its panels.
    void normalise(int begin, int end, long n, Share panels) {
        if (exchange(begin, end, n, panels, false)) {  // all threads of the group find the same
            team_.wait(thread_);                       // they have all heard what is told anew now
            for (int part = begin; part < end; part++)
                for (long r = 0; r < n; r++)
                    if (together_.overflowed(part, r)) add_smaller(part, r, panels);
            exchange(begin, end, n, panels, true);
        }
        if (l_.gates && team_.member(thread_) == 0)
            for (int part = begin; part < end; part++)
                for (long r = 0; r < n; r++) scales_[r * StagesKept<T>::parts + part] = together_.scale(part, r);
    }
    bool exchange(int begin, int end, long n, Share panels, bool again) {
        bool overflowed = false;
        for (int part = begin; part < end; part++)
            together_.tell(part, n, units_of(panels) * (part < P::count ? P::gates(part) : 1));
        team_.wait(thread_);
        for (int part = begin; part < end; part++) overflowed |= together_.hear(part, n, again);
        return overflowed;
    }

    // Makes this thread's values of a row smaller, and adds them up once more.
    void add_smaller(int part, long r, Share panels) {
        const Part of = part < P::count ? P::of(part) : Part{false, 0, 1};
        const long vectors = of.end - of.begin;
        for (long q = panels.begin; q < panels.end; q++) {
            T* v = part < P::count ? row(products_[of.state], q, r) + of.begin * W : cell_ + r * p_.padded + q * W;
            for (long k = 0; k < vectors; k++) store<T>(v + k * W, load<T>(v + k * W) * Norm<T>::smaller);
            together_.add(part, r, q == panels.begin, v, vectors, [&](long k) { return p_.lanes_of(q, of.begin + k); });
        }
    }

    // A column of a product, normalised, times its gain.
    HF_INLINE Vec<T> normalised(bool state, long q, long r, long column) {
        T* a = row(products_[state], q, r) + column * W;
        const int part = gru && column > 1 ? 2 + state : state;
        const Vec<T> y = only<T>(together_.normalised(part, r, load<T>(a)), p_.lanes_of(q, column));
        if (l_.gates) store<T>(a, y);
        return y * load<T>(stages_.gain(state, q) + column * W);
    }

    // What the products gave to row r's gates, normalised.
    void sum_normalised(long q, long r, T* g) {
        for (long n = 0; n < N; n++) {
            Vec<T> sum = load<T>(weights_.bias(q) + n * W);
            if (!(gru && n == 3)) sum = sum + normalised(false, q, r, n);
            if (!(gru && n == 2) && !(n == 3 && resets_)) sum = sum + normalised(true, q, r, n);
            store<T>(g + n * W, sum);
        }
    }

    Unit<T> unit(long b, long at) const {
        Unit<T> u = unit_at(l_, b, t_, at);
        if (projects_) u.zoned_h = nullptr;
        return u;
    }

    // The units of panel q, rows begin to before end: all of their step, or what comes before the next stage.
    void units(long q, long begin, long end) {
        for (long r = begin; r < end; r++) {
            T* g = row(gates_, q, r);
            if (norm_) sum_normalised(q, r, g);
            const long b = rows_.order[first_ + r];
            for (long v = 0; v < p_.units; v++, g += W) {
                const long at = (q * p_.units + v) * W, count = l_.H - at;
                if (count <= 0) break;
                const Unit<T> u = unit(b, at);
                const T* h_old = h_[0] + r * ldh_ + at;
                T *to = h_[1] + r * ldh_ + at, *inner = inner_ + r * memory_.kept.inner_row + at;
                if constexpr (lstm) {
                    T* c = c_ + r * p_.padded + at;
                    if (l_.c_before) store<T>(l_.c_before + (t_ * l_.B + first_ + r) * p_.padded + at, load<T>(c));
                    if (norm_) {
                        T* seen = cell_ + r * p_.padded + at;
                        store<T>(seen, lstm_state<T, false>(o_, u, g, c).c);
                        together_.add(P::cell, r, q == panels_.begin, seen, 1, [&](long) { return count; });
                    } else {
                        lstm_forward<T, false>(o_, u, g, h_old, inner, c);
                        clear_padding<T>(inner, 1, count);
                    }
                    if (l_.c_all) store_some<T>(l_.c_all.at(b, t_) + at, load<T>(c), count);
                    continue;
                }
                if constexpr (kind == Kind::rnn) rnn_forward<T, false>(o_, u, g, h_old, to);
                if constexpr (gru) {
                    if (resets_) {
                        gru_gates<T, false>(o_, g);
                        const T* h_in = h_in_[0] + r * ld_in_ + (l_.masks - 1) * ldh_ + at;  // the candidate's
                        const Vec<T> gate = Functions<T, false>{o_}.sigma_of(load<T>(g));
                        store<T>(inner, only<T>(gate * load<T>(h_in), count));
                        continue;
                    }
                    gru_forward<T, false>(o_, u, g, h_old, to);
                }
                finish(r, b, at, l_.H, to);
            }
        }
    }

    // The LSTM's cell state, normalised, on its way out, for panel q.
    void outputs(long q, long n) {
        const Functions<T, false> f{o_};
        const long at = q * W, count = l_.H - at;
        const Vec<T> gain = load_some<T>(l_.norm_c + at, count), shift = load_some<T>(l_.norm_c_bias + at, count);
        for (long r = 0; r < n; r++) {
            T* seen = cell_ + r * p_.padded + at;
            const Vec<T> y = only<T>(together_.normalised(P::cell, r, load<T>(seen)), count);
            store<T>(seen, y);
            const Vec<T> o = f.sigma_of(load<T>(row(gates_, q, r) + (N - 1) * W)), h = o * f.out(gain * y + shift);
            if (projects_) {
                store<T>(inner_ + r * memory_.kept.inner_row + at, only<T>(h, count));
                continue;
            }
            const long b = rows_.order[first_ + r];
            finish(r, b, at, l_.H, hold(r, b, at, l_.H, h));
        }
    }

    // h' after its zoneout, stored; `size` is that of h'.
    HF_INLINE const T* hold(long r, long b, long at, long size, Vec<T> h) {
        const std::uint8_t* mask = l_.zoned_h ? l_.zoned_h + (t_ * l_.B + b) * size + at : nullptr;
        const Vec<T> old = load<T>(h_[0] + r * ldh_ + at);
        T* to = h_[1] + r * ldh_ + at;
        store<T>(to, zoned<T>(mask, std::min(W, size - at), l_.options.zoneout_h, old, h));
        return to;
    }

    // h' goes out and to the next step.
    HF_INLINE void finish(long r, long b, long at, long size, const T* h) {
        store_some<T>(l_.y.at(b, t_) + at, load<T>(h), size - at);
        if (l_.state_mask) put_state(l_, h, h_in_[1] + r * ld_in_ + at, ldh_, b, at);
    }

    Slots inner_slots() const { return {memory_.kept.inner_row, p_.padded / W, 0, 0, 0, 1, W}; }

    // The GRU's candidate from r h, and h'.
    void candidates(long n) {
        team_.wait(thread_);
        const Share share = Share::of(panels_of_4(l_.H, W), team_.member(thread_), team_.members);
        times_transposed<T>(inner_, inner_slots(), n, stages_.last(), l_.H, share, [&](long r, long at, Vec<T> sum) {
            T* to = row(norm_ ? products_[1] : gates_, at / W, r) + 3 * W;
            if (!norm_) return store<T>(to, load<T>(to) + sum);
            store<T>(to, sum);
            together_.add(3, r, at == share.begin * 4 * W, to, 1, [&](long) { return l_.H - at; });
        });
        if (norm_)
            normalise(3, 4, n, {std::min(p_.count, share.begin * 4), std::min(p_.count, share.end * 4)});
        else
            team_.wait(thread_);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long r = 0; r < n; r++) {
                const long b = rows_.order[first_ + r], at = q * W;
                T *g = row(gates_, q, r), *to = h_[1] + r * ldh_ + at;
                Vec<T> sum = load<T>(g + 2 * W) + load<T>(g + 3 * W);
                if (norm_) sum = sum + normalised(true, q, r, 3);
                const Vec<T> z = Functions<T, false>{o_}.sigma_of(load<T>(g + W));
                gru_state<T, false>(o_, unit(b, at), g, z, sum, h_[0] + r * ldh_ + at, to);
                finish(r, b, at, l_.H, to);
            }
    }

    // h' from o ψ(c').
    void project(long n) {
        team_.wait(thread_);
        const Share share = Share::of(panels_of_4(l_.O, W), team_.member(thread_), team_.members);
        times_transposed<T>(inner_, inner_slots(), n, stages_.last(), l_.O, share, [&](long r, long at, Vec<T> h) {
            if (l_.gates) store<T>(row(projected_, at / width, r) + at % width, h);
            const T clip = l_.options.proj_clip;
            if (clip > 0) h = min<T>(max<T>(h, all<T>(-clip)), all<T>(clip));
            const long b = rows_.order[first_ + r];
            finish(r, b, at, l_.O, hold(r, b, at, l_.O, h));
        });
    }

    const Layer<T>& l_;
    const Panels& p_;
    Team& team_;
    const long thread_;
    const Memory& memory_;
    Options<T> o_;
    const bool norm_, projects_, resets_;
    const Rows& rows_;
    const long group_, first_, ldh_, ld_in_, ldx_;
    decltype(gates_tiles<T, kind, N>)& tiles_;
    const Share panels_;
    const Weights weights_;
    const StagesWeights<T> stages_;
    T *x_, *c_, *h_[2], *h_in_[2];  // of h the one that a step reads, and the one that it writes
    Norm<T> together_;
    long t_;
    T *gates_, *inner_, *products_[2], *cell_, *scales_, *projected_;  // of this step, from this group's first row on
};

template <class T, Kind kind, int N>
void run_stages_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    using Weights = ForwardWeights<T, kind, N>;
    const long kept_rows = l.T_ * l.B * long(sizeof(T));
    if (l.gates) {
        prefer_large_pages(l.gates, kept_rows * p.count * p.width());
        prefer_large_pages(l.stages, StagesKept<T>::of(l, p, l.T_, nullptr).size * long(sizeof(T)));
        if (l.c_before) prefer_large_pages(l.c_before, kept_rows * p.padded);
    }
    run_in_team(l, p, [&](Team& team) {
        const long most = most_rows(team.rows), weights = Weights::size(l, p);
        Scratch& scratch = Scratch::begin();
        StagesForwardMemory<T> m{};
        T* packed = l.packed ? nullptr : scratch.take<T>(weights + StagesWeights<T>::size(l, p));
        take_forward_memory(l, p, team, scratch, m);
        m.packed = l.packed ? l.packed : packed;
        m.packed_stages = m.packed + weights;
        m.gates = l.gates ? l.gates : scratch.take<T>(p.count * l.B * p.width());
        m.norm = NormMemory<T>::take(scratch, team.threads, l.options.norm ? Parts<kind, N>::all : 0, most);
        m.kept = StagesKept<T>::of(l, p, 1, nullptr);
        m.kept = StagesKept<T>::of(l, p, l.gates ? l.T_ : 1, l.gates ? l.stages : scratch.take<T>(m.kept.size));
        return [&, m, packed, weights](long thread) {
            if (packed) {
                Weights::pack(l, p, Share::of(p.count, thread, team.threads), packed);
                StagesWeights<T>::pack(l, p, thread, team.threads, packed + weights);
                team.wait_for_all();
            }
            StagesForward<T, kind, N>(l, p, team, thread, m).run();
        };
    });
}

}  // namespace holdfast::HOLDFAST_ISA
