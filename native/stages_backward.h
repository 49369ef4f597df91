// The loop over time, backward, of the cells in stages.
#pragma once

#include "stages_norm.h"

namespace holdfast::HOLDFAST_ISA {

template <class T>
struct StagesBackwardMemory {
    T *packed_h, *packed_x, *packed_last, *gains, *sums;
    T *dh, *dc, *dinner, *dcell;  // a row has the padded size of the outputs in dh, of the units in the others
    NormMemory<T> norm;
    StagesKept<T> kept;
    StagesSums places;
};

// What one thread does in a call.
template <class T, Kind kind, int N>
class StagesBackward : StagesNorm<T, kind, N> {
    using Base = StagesNorm<T, kind, N>;
    using P = typename Base::P;
    using Base::l_, Base::p_, Base::team_, Base::thread_, Base::member_, Base::units_layer_, Base::norm_;
    using Base::resets_, Base::rows_, Base::group_, Base::first_, Base::panels_, Base::norms_, Base::t_, Base::gates_;
    using Base::step_, Base::W, Base::width, Base::lstm, Base::gru, Base::row, Base::share_of_4;
    using Base::projects_, Base::usual_, Base::add_gradients, Base::share_gradients, Base::gradients_of_products;
    using Memory = StagesBackwardMemory<T>;

  public:
    StagesBackward(const Layer<T>& l, const Panels& p, const Panels& outputs, Team& team, long thread,
                   const Memory& memory)
        : Base(l, p, team, thread, memory.norm, memory.gains), outputs_(outputs), memory_(memory), ldo_(outputs.padded),
          ldi_(p.padded), dh_(memory.dh + first_ * ldo_), dc_(memory.dc + first_ * ldi_),
          dinner_(memory.dinner + first_ * ldi_), dcell_(memory.dcell + first_ * ldi_),
          sums_(memory.sums + thread * memory.places.size) {}

    void run() {
        std::fill_n(sums_, memory_.places.size, T(0));
        begin_gradients(l_, rows_, first_, share_of_rows(), dh_, ldo_, dc_, ldi_);
        team_.wait(thread_);
        for (long number = l_.T_ - 1; number >= 0; number--) {
            const long t = l_.reverse ? l_.T_ - 1 - number : number, n = rows_.active(group_, t);
            if (!n && !l_.reverse) continue;
            if (!n) break;
            step(t, n);
            team_.wait(thread_);
        }
        end_gradients(l_, rows_, first_, share_of_rows(), dh_, ldo_, dc_, ldi_);
    }

  private:
    Share share_of_rows() const { return Share::of(rows_.start[group_ + 1] - first_, member_, team_.members); }

    Share share_of_outputs() const { return Share::of(outputs_.count, member_, team_.members); }

    void step(long t, long n) {
        t_ = t;
        gates_ = l_.gates + (t * p_.count * l_.B + first_) * width;
        step_ = memory_.kept.at(t, first_);
        T *d_input = norm_ ? step_.products[0] : gates_, *d_state = norm_ ? step_.products[1] : gates_;
        if (norm_)
            for (int part = 0; part < P::all; part++) norms_.begin_gradients(part, n);
        add_to_units(t, n);
        if (projects_) project(n);
        if constexpr (lstm)
            if (norm_) usual_ ? outputs<true>(n) : outputs<false>(n);
        for (long q = panels_.begin; q < panels_.end; q++) {
            units(q, n);
            for (long r = 0; r < n; r++) round(row(gates_, q, r), resets_, N);
            if (norm_)
                for (int part = resets_ ? 2 : 0; part < P::count; part++)
                    add_gradients(part, q, n, memory_.places, sums_);
        }
        if constexpr (gru)
            if (resets_) candidates(d_state, n);
        if (norm_) gradients_of_products(0, resets_ ? 2 : P::count, n);
        team_.wait(thread_);
        // Of the GRU's slots, the h product reads r, z and u_n (with the reset before it, only r and z).
        const Slots slots_h{width, gru ? 2 : N, 1, gru && !resets_ ? 1 : 0, l_.B * width, p_.count, p_.last_lanes()};
        const Slots slots_x{width, gru ? 3 : N, 0, 0, l_.B * width, p_.count, p_.last_lanes()};
        add_to_state<T>(l_, d_state, slots_h, &rows_.order[first_], n, memory_.packed_h, share_of_4(l_.O), dh_, ldo_);
        const Share share_x = Share::of(panels_of_4(l_.I, W), team_.members - 1 - member_, team_.members);
        write_dx(l_, d_input, slots_x, &rows_.order[first_], n, t, memory_.packed_x, share_x);
    }

    // Adds the gradients of y and of the cell states of step t to dh and dc, for the values of the thread.
    void add_to_units(long t, long n) {
        const long *order = &rows_.order[first_], next = l_.reverse ? t + 1 : t - 1, unit = p_.units * W;
        const Share own{panels_.begin * unit, std::min(panels_.end * unit, l_.H)}, outputs = share_of_outputs();
        const Share projected{outputs.begin * width, std::min(outputs.end * width, l_.O)};
        add_given(l_.dy, order, n, t, next, projects_ ? projected : own, dh_, ldo_);
        if constexpr (lstm) add_given(l_.dc_all, order, n, t, next, own, dc_, ldi_);
    }

    // The gradient of h' before its zoneout. dh keeps the part that goes past the step.
    HF_INLINE Vec<T> incoming(long r, long b, long at) {
        T* dh = dh_ + r * ldo_ + at;
        const Vec<T> sum = load<T>(dh);
        const std::uint8_t* mask = l_.zoned_h ? l_.zoned_h + (t_ * l_.B + b) * l_.O + at : nullptr;
        const ZonedGradients<T> d = zoned_backward<T>(mask, std::min(W, l_.O - at), l_.options.zoneout_h, sum);
        store<T>(dh, d.old);
        return d.updated;
    }

    // The gradients of W_hr m, which overwrites W_hr m, and of m, which goes to dinner.
    void project(long n) {
        const T bound = l_.options.proj_clip;
        const Share share = share_of_outputs();
        for (long q = share.begin; q < share.end; q++)
            for (long r = 0; r < n; r++)
                for (long v = 0; v < N; v++) {
                    const long at = q * width + v * W;
                    T* to = row(step_.projected, q, r) + v * W;
                    Vec<T> d{};
                    if (at < l_.O) d = only<T>(incoming(r, rows_.order[first_ + r], at), l_.O - at);
                    if (at < l_.O && bound > 0) d = abs<T>(load<T>(to)) <= bound ? d : Vec<T>{};
                    put<T>(to, d, l_.rounded);
                }
        team_.wait(thread_);
        auto keep = [&](long r, long at, Vec<T> sum) { store<T>(dinner_ + r * ldi_ + at, sum); };
        times_transposed<T>(step_.projected, {width, N, 0, 0, l_.B * width, outputs_.count, W}, n,
                            memory_.packed_last, l_.H, share_of_4(l_.H), keep);
        team_.wait(thread_);
    }

    // The gradients of o ψ(LN(c')): of o's sum, which goes to o's slot, and of the normalised c', which goes to dcell.
    template <bool usual>
    void outputs(long n) {
        const Functions<T, usual> fn{l_.options};
        for (long q = panels_.begin; q < panels_.end; q++) {
            const long at = q * W, count = l_.H - at;
            const Vec<T> gain = load_some<T>(l_.norm_c + at, count), shift = load_some<T>(l_.norm_c_bias + at, count);
            T* into = sums_ + memory_.places.cell + at;
            Vec<T> dgain = load<T>(into), dshift = load<T>(into + ldi_);
            for (long r = 0; r < n; r++) {
                const Vec<T> d =
                    projects_ ? load<T>(dinner_ + r * ldi_ + at) : incoming(r, rows_.order[first_ + r], at);
                T* slot = row(gates_, q, r) + (N - 1) * W;
                const Vec<T> y = load<T>(step_.cell + r * ldi_ + at), c = gain * y + shift, seen = fn.psi(c);
                const Vec<T> stored_o = load<T>(slot);
                store<T>(slot, fn.sigma_backward(stored_o, d * seen));
                Vec<T> dy = only<T>(fn.psi_backward(c, seen, d * fn.sigma_of(stored_o)), count);
                dgain = dgain + dy * y;
                dshift = dshift + dy;
                dy = dy * gain;
                store<T>(dcell_ + r * ldi_ + at, dy);
                norms_.add_gradient(P::cell, r, dy, dy * y);
            }
            store<T>(into, dgain);
            store<T>(into + ldi_, dshift);
        }
        share_gradients(P::cell, P::all, n);
    }

    // The gradients of the gates' sums of panel q's units; with the reset before the product, without r.
    void units(long q, long n) {
        if (lstm ? norm_ : resets_) {
            for (long r = 0; r < n; r++) usual_ ? unit_before<true>(q, r) : unit_before<false>(q, r);
            return;
        }
        const long at = q * p_.units * W;
        const T* c_before = lstm ? l_.c_before + (t_ * l_.B + first_) * ldi_ + at : nullptr;
        backward_({units_layer_, &rows_.order[first_], rows_.length.data(), t_, at, p_.units, n, row(gates_, q, 0),
                   width, c_before, ldi_, (lstm ? dinner_ : dh_) + at, lstm ? dc_ + at : nullptr, lstm ? ldi_ : ldo_,
                   l_.peephole ? sums_ + memory_.places.peepholes + at : nullptr, p_.padded});
    }

    // The same for the vector of units of row r, up to c' before its norm or to the candidate's product.
    template <bool usual>
    HF_INLINE void unit_before(long q, long r) {
        const long b = rows_.order[first_ + r], at = q * W, count = l_.H - at;
        T* const slots = row(gates_, q, r);
        Unit<T> u = unit_at(units_layer_, b, t_, at);
        if constexpr (lstm) {
            if (l_.peephole) {
                u.peephole_gradient = sums_ + memory_.places.peepholes + at;
                u.gradient_stride = p_.padded;
            }
            const T* c_old = l_.c_before + (t_ * l_.B + first_ + r) * ldi_ + at;
            const LstmGates<T, false, usual> gates(l_.options, u, slots, c_old);
            const Vec<T> y = load<T>(step_.cell + r * ldi_ + at), dy = load<T>(dcell_ + r * ldi_ + at);
            const Vec<T> d_o = gates.stored_o;  // `outputs` has put it into the slot
            lstm_state_backward<T, false>(gates, d_o, norms_.normal_gradient(P::cell, r)(dy, y), dc_ + r * ldi_ + at);
        }
        if constexpr (gru) {
            alignas(64) T h_old[W];
            store<T>(h_old, load_some<T>(previous_h(l_, rows_.length.data(), b, t_) + at, count));
            const Vec<T> d_n =
                gru_state_backward<T, false, usual>(l_.options, u, slots, h_old, dh_ + r * ldo_ + at);
            store<T>(slots + 2 * W, d_n);
            store<T>(slots + 3 * W, d_n);
        }
        clear_padding<T>(slots, p_.slots, count);
    }

    // With the reset before the product: the gradient of r h from the candidate's product, then of r's sum.
    void candidates(const T* d_state, long n) {
        if (norm_) gradients_of_products(2, 4, n);
        team_.wait(thread_);
        auto keep = [&](long r, long at, Vec<T> sum) { store<T>(dinner_ + r * ldi_ + at, sum); };
        times_transposed<T>(d_state + 3 * W, {width, 1, 0, 0, l_.B * width, p_.count, p_.last_lanes()}, n,
                            memory_.packed_last, l_.H, share_of_4(l_.H), keep);
        team_.wait(thread_);
        for (long q = panels_.begin; q < panels_.end; q++)
        {
            for (long r = 0; r < n; r++) reset(q, r);
            if (norm_)
                for (int part = 0; part < 2; part++) add_gradients(part, q, n, memory_.places, sums_);
        }
    }

    // From the gradient of r h, in dinner: the gradient of r's sum, and its part of the gradient of h.
    void reset(long q, long r) {
        const Functions<T, false> fn{l_.options};
        const long b = rows_.order[first_ + r], at = q * W, count = l_.H - at;
        T *slots = row(gates_, q, r), *dh = dh_ + r * ldo_ + at;
        const Vec<T> mask = l_.state_mask ? load_some<T>(l_.mask(b, l_.masks - 1) + at, count) : all<T>(1);
        const Vec<T> d = load<T>(dinner_ + r * ldi_ + at) * mask, gate = load<T>(slots);
        store<T>(dh, load<T>(dh) + d * fn.sigma_of(gate));
        const Vec<T> d_gate = d * load_some<T>(previous_h(l_, rows_.length.data(), b, t_) + at, count);
        store<T>(slots, only<T>(fn.sigma_backward(gate, d_gate), count));
        round(slots, 0, 1);
    }

    // Rounds the gradients of a row's sums, from slot `begin` to `end` (excluded), where they are operands of products:
    // with layer norm it is the gradients of the normalised products that are.
    void round(T* slots, long begin, long end) const {
        if (l_.rounded && !norm_)
            for (T* v = slots + begin * W; v < slots + end * W; v += W) put<T>(v, load<T>(v), true);
    }

    const Panels& outputs_;
    const Memory& memory_;
    const long ldo_, ldi_;                     // padded values of a row of outputs, and of units
    void (*const backward_)(const UnitsBackward<T>&) = backward_units_of(units_layer_);
    T *dh_, *dc_, *dinner_, *dcell_, *sums_;  // from the group's first row on; the thread's sums
};

}  // namespace holdfast::HOLDFAST_ISA
