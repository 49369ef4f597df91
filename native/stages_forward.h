// The loop over time, forward, of the cells in stages.
#pragma once

#include "forward.h"
#include "stages_norm.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
struct StagesForwardMemory : ForwardMemory<T> {
    const T* packed_stages;
    NormMemory<T> norm;
    StagesKept<T> kept;
};

// What one thread does in a call.
template <class T, Kind kind, int N>
class StagesForward : StagesNorm<T, kind, N> {
    using Base = StagesNorm<T, kind, N>;
    using P = typename Base::P;
    using Base::l_, Base::p_, Base::team_, Base::thread_, Base::member_, Base::units_layer_, Base::norm_;
    using Base::resets_, Base::rows_, Base::group_, Base::first_, Base::panels_, Base::norms_, Base::t_, Base::gates_;
    using Base::step_, Base::W, Base::width, Base::lstm, Base::gru, Base::row, Base::share_of_4;
    using Base::projects_, Base::usual_;
    using Base::add_products, Base::normalise, Base::normalised, Base::sum_normalised;
    using Weights = ForwardWeights<T, kind, N>;
    using Memory = StagesForwardMemory<T>;

  public:
    StagesForward(const Layer<T>& l, const Panels& p, Team& team, long thread, const Memory& memory)
        : Base(l, p, team, thread, memory.norm, memory.packed_stages), memory_(memory),
          last_(StagesWeights<T>(l, p, memory.packed_stages).last()), ldh_(memory.ldh), ld_in_(memory.ld_in),
          ldx_(memory.ldx), weights_(l, p, memory.packed), sums_(l, p, panels_, weights_, ld_in_, ldh_, ldx_),
          x_(memory.x + thread * memory.x_thread), c_(memory.c + first_ * p.padded) {
        for (int k = 0; k < 2; k++) {
            h_[k] = memory.h[k] + first_ * ldh_;
            h_in_[k] = memory.h_in[k] + first_ * ld_in_;
        }
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
            std::swap(h_[0], h_[1]);
            std::swap(h_in_[0], h_in_[1]);
        }
        end_rows(l_, p_, team_, thread_, memory_);
    }

  private:
    void step(long t, long n) {
        t_ = t;
        const long slot = l_.gates ? t : 0;  // inference has memory for one step
        gates_ = memory_.gates + (slot * p_.count * l_.B + first_) * width;
        step_ = memory_.kept.at(slot, first_);
        for (long r = 0; r < n; r++)
            put_values<T>(x_ + r * ldx_, l_.x.at(rows_.order[first_ + r], t), l_.x_value, l_.I, l_.rounded);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long r = 0; r < n; r += block) {
                const long end = std::min(n, r + block);
                products(q, r, end);
                if (!norm_) units(q, r, end);
            }
        if (norm_) {
            normalise(0, P::count - resets_, n, panels_);
            for (long q = panels_.begin; q < panels_.end; q++)
                for (long r = 0; r < n; r += block) units(q, r, std::min(n, r + block));
        }
        if constexpr (lstm)
            if (norm_) {
                normalise(P::cell, P::all, n, panels_);
                for (long q = panels_.begin; q < panels_.end; q++)
                    usual_ ? outputs<true>(q, n) : outputs<false>(q, n);
            }
        if constexpr (gru)
            if (resets_) candidates(n);
        if (projects_) project(n);
    }

    // The products of rows `begin` to `end` (excluded) for panel q. Without layer norm their sum with the biases, else
    // each product by itself, which is added to the sums of its norm.
    void products(long q, long begin, long end) {
        const T *h = h_in_[0] + begin * ld_in_, *x = x_ + begin * ldx_;
        if (!norm_) return sums_(q, weights_.bias(q), h, x, end - begin, row(gates_, q, begin));
        alignas(64) static const T zeros[width] = {};
        sums_(q, zeros, nullptr, x, end - begin, row(step_.products[0], q, begin));
        sums_(q, zeros, h, nullptr, end - begin, row(step_.products[1], q, begin));
        add_products(q, begin, end);
    }

    // The units of panel q, rows `begin` to `end` (excluded): their whole step, or the part before the next stage.
    void units(long q, long begin, long end) {
        for (long r = begin; r < end && norm_; r++) sum_normalised(q, r, weights_.bias(q), row(gates_, q, r));
        for (long v = 0; v < p_.units; v++) {
            const long at = (q * p_.units + v) * W;
            if (at >= l_.H) break;
            T* const g = row(gates_, q, begin) + v * W;
            if (lstm ? norm_ : resets_)
                first_part(q, begin, end, at, g);
            else
                whole_step(begin, end, at, g);
            for (long r = begin; r < end && lstm && l_.c_all; r++) {
                T* const to = l_.c_all.at(rows_.order[first_ + r], t_) + at;
                store_some<T>(to, load<T>(c_ + r * p_.padded + at), l_.H - at);
            }
        }
    }

    // The whole step of the vector of units from `at` on. g: their gates, `width` values from row to row.
    void whole_step(long begin, long end, long at, T* g) {
        const long next = lstm ? memory_.kept.inner_row : ldh_, place = begin * p_.padded + at, count = l_.H - at;
        T* const h = lstm ? step_.inner + begin * next + at : h_[1] + begin * next + at;
        T* const c_before = lstm && l_.c_before ? l_.c_before + (t_ * l_.B + first_) * p_.padded + place : nullptr;
        forward_({units_layer_, &rows_.order[first_ + begin], t_, at, 0, end - begin, g, width,
                  h_[0] + begin * ldh_ + at, ldh_, h, next, lstm ? c_ + place : nullptr, c_before, p_.padded});
        for (long r = begin; r < end; r++) {
            T* const to = h + (r - begin) * next;
            if (lstm)
                put<T>(to, only<T>(load<T>(to), count), l_.rounded);
            else if (has_h_in(l_))
                put_state(l_, to, h_in_[1] + r * ld_in_ + at, ldh_, rows_.order[first_ + r], at);
        }
    }

    // The same up to c' before its norm, or to the r h that the candidate's product reads.
    void first_part(long q, long begin, long end, long at, T* g) {
        long r = begin;
        auto run = [&](auto together, auto usual) __attribute__((always_inline)) {
            for (; r + together <= end; r += together, g += together * width)
                first_part_of<together, usual>(q, r, at, g);
        };
        using One = std::integral_constant<int, 1>;
        if (!usual_) return run(One{}, std::false_type{});
        // Without vectors it brings nothing, and GCC 12 for ARM never ends to compile it.
        if constexpr (W > 1) run(std::integral_constant<int, 2>{}, std::true_type{});
        run(One{}, std::true_type{});
    }

    // The same for R rows side by side.
    template <int R, bool usual>
    HF_INLINE void first_part_of(long q, long r, long at, T* g) {
        const long* const order = &rows_.order[first_ + r];
        const long count = l_.H - at, inner_row = memory_.kept.inner_row;
        const Place<T, R> slots(g, width);
        if constexpr (lstm) {
            const Place<T, R> c(c_ + r * p_.padded + at, p_.padded);
            if (l_.c_before)
                Place<T, R>(l_.c_before + (t_ * l_.B + first_ + r) * p_.padded + at, p_.padded).store(c.load());
            T* seen = step_.cell + r * p_.padded + at;
            const Unit<T> u = unit_at(units_layer_, order[0], t_, at, order[R - 1]);
            Place<T, R>(seen, p_.padded).store(lstm_state<T, false, R, usual>(l_.options, u, slots, c).c);
            for (long k = 0; k < R; k++, seen += p_.padded)
                norms_.add(P::cell, r + k, q == panels_.begin, seen, 1, [&](long) { return count; });
        }
        if constexpr (gru) {
            const Place<const T, R> h_old(h_[0] + r * ldh_ + at, ldh_);
            const auto m = gru_gates<T, false, R, usual>(l_.options, slots).r * candidate_state<R>(order, at, h_old);
            for (int k = 0; k < R; k++)
                put<T>(step_.inner + (r + k) * inner_row + at, only<T>(at_place<T>(m, k), count), l_.rounded);
        }
    }

    // h as the candidate's product reads it, after its dropout.
    template <int R>
    HF_INLINE Side<T, R> candidate_state(const long* order, long at, Place<const T, R> h_old) {
        const Side<T, R> h = h_old.load();
        if (!l_.state_mask) return h;
        return h * side_by_side<T, Side<T, R>>(
                       [&](int k) { return load_some<T>(l_.mask(order[k], l_.masks - 1) + at, l_.H - at); });
    }

    // The LSTM's m or h' = o ψ(LN(c')), for panel q.
    template <bool usual>
    void outputs(long q, long n) {
        const Functions<T, usual> fn{l_.options};
        const long at = q * W, count = l_.H - at;
        const Vec<T> gain = load_some<T>(l_.norm_c + at, count), shift = load_some<T>(l_.norm_c_bias + at, count);
        for (long r = 0; r < n; r++) {
            T* seen = step_.cell + r * p_.padded + at;
            const Vec<T> y = only<T>(norms_.normal(P::cell, r)(load<T>(seen)), count);
            store<T>(seen, y);
            const Vec<T> o = fn.sigma_of(load<T>(row(gates_, q, r) + (N - 1) * W)), h = o * fn.psi(gain * y + shift);
            if (projects_) {
                put<T>(step_.inner + r * memory_.kept.inner_row + at, only<T>(h, count), l_.rounded);
                continue;
            }
            const long b = rows_.order[first_ + r];
            finish(r, b, at, l_.H, zoneout(r, b, at, l_.H, h));
        }
    }

    // Stores h' after its zoneout; h has `size` values.
    HF_INLINE const T* zoneout(long r, long b, long at, long size, Vec<T> h) {
        const std::uint8_t* mask = l_.zoned_h ? l_.zoned_h + (t_ * l_.B + b) * size + at : nullptr;
        const Vec<T> old = load<T>(h_[0] + r * ldh_ + at);
        T* to = h_[1] + r * ldh_ + at;
        store<T>(to, zoned<T>(mask, std::min(W, size - at), l_.options.zoneout_h, old, h));
        return to;
    }

    // Writes h' to y and to the next step.
    HF_INLINE void finish(long r, long b, long at, long size, const T* h) {
        store_some<T>(l_.y.at(b, t_) + at, load<T>(h), size - at);
        if (has_h_in(l_)) put_state(l_, h, h_in_[1] + r * ld_in_ + at, ldh_, b, at);
    }

    Slots inner_slots() const { return {memory_.kept.inner_row, p_.padded / W, 0, 0, 0, 1, W}; }

    // The GRU's candidate from r h, then h'.
    void candidates(long n) {
        team_.wait(thread_);
        const Share share = share_of_4(l_.H);
        auto take = [&](long r, long at, Vec<T> sum) {
            T* to = row(norm_ ? step_.products[1] : gates_, at / W, r) + 3 * W;
            if (!norm_) return store<T>(to, load<T>(to) + sum);
            store<T>(to, sum);
            norms_.add(3, r, at == share.begin * 4 * W, to, 1, [&](long) { return l_.H - at; });
        };
        times_transposed<T>(step_.inner, inner_slots(), n, last_, l_.H, share, take);
        if (norm_)
            normalise(3, 4, n, {std::min(p_.count, share.begin * 4), std::min(p_.count, share.end * 4)});
        else
            team_.wait(thread_);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long r = 0; r < n; r++) {
                const long b = rows_.order[first_ + r], at = q * W;
                T *g = row(gates_, q, r), *to = h_[1] + r * ldh_ + at;
                Vec<T> sum = load<T>(g + 2 * W) + load<T>(g + 3 * W);
                if (norm_) sum = sum + normalised(norms_.normal(3, r), true, q, r, 3);
                const Vec<T> z = Functions<T, false>{l_.options}.sigma_of(load<T>(g + W));
                gru_state<T, false, 1>(l_.options, unit_at(l_, b, t_, at), g, z, sum, h_[0] + r * ldh_ + at, to);
                finish(r, b, at, l_.H, to);
            }
    }

    // h' = W_hr m, clipped.
    void project(long n) {
        team_.wait(thread_);
        auto take = [&](long r, long at, Vec<T> h) {
            if (l_.gates) store<T>(row(step_.projected, at / width, r) + at % width, h);
            const long b = rows_.order[first_ + r];
            finish(r, b, at, l_.O, zoneout(r, b, at, l_.O, clip<T>(l_.options.proj_clip, h)));
        };
        times_transposed<T>(step_.inner, inner_slots(), n, last_, l_.O, share_of_4(l_.O), take);
    }

    const Memory& memory_;
    const T* const last_;  // the matrix of the last product
    const long ldh_, ld_in_, ldx_;
    const Weights weights_;
    const GateSums<T, kind, N> sums_;
    void (*const forward_)(const UnitsForward<T>&) = forward_units_of(units_layer_);
    T *x_, *c_, *h_[2], *h_in_[2];  // the h that a step reads, and the h that it writes
};

}  // namespace holdfast::HOLDFAST_ISA
