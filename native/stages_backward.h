// The loop over time, backward, of the cells in stages.
#pragma once

#include "stages.h"
#include "stages_sums.h"

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
class StagesBackward : StagesThread<T, kind, N> {
    using Base = StagesThread<T, kind, N>;
    using P = typename Base::P;
    using Base::l_, Base::p_, Base::team_, Base::thread_, Base::member_, Base::o_, Base::norm_, Base::projects_;
    using Base::resets_, Base::rows_, Base::group_, Base::first_, Base::panels_, Base::norms_, Base::t_, Base::gates_;
    using Base::step_, Base::W, Base::width, Base::lstm, Base::gru, Base::row, Base::share_of_4, Base::unit;
    using Memory = StagesBackwardMemory<T>;

  public:
    StagesBackward(const Layer<T>& l, const Panels& p, const Panels& outputs, Team& team, long thread,
                   const Memory& memory)
        : Base(l, p, team, thread, memory.norm), outputs_(outputs), memory_(memory), ldo_(outputs.padded),
          ldi_(p.padded), dh_(memory.dh + first_ * ldo_), dc_(memory.dc + first_ * ldi_),
          dinner_(memory.dinner + first_ * ldi_), dcell_(memory.dcell + first_ * ldi_),
          sums_(memory.sums + thread * memory.places.size) {}

    void run() {
        begin();
        team_.wait(thread_);
        for (long number = l_.T_ - 1; number >= 0; number--) {
            const long t = l_.reverse ? l_.T_ - 1 - number : number, n = rows_.active(group_, t);
            if (!n && !l_.reverse) continue;
            if (!n) break;
            step(t, n);
            team_.wait(thread_);
        }
        const Share rows = share_of_rows();
        for (long r = rows.begin; r < rows.end; r++) {
            const long b = rows_.order[first_ + r];
            if (l_.dh0) std::copy_n(dh_ + r * ldo_, l_.O, l_.dh0 + b * l_.O);
            if (l_.dc0) std::copy_n(dc_ + r * ldi_, l_.H, l_.dc0 + b * l_.H);
        }
    }

  private:
    Share share_of_rows() const { return Share::of(rows_.start[group_ + 1] - first_, member_, team_.members); }

    void begin() {
        std::fill_n(sums_, memory_.places.size, T(0));
        auto begin_with = [](T* to, long padded, const T* from, long size) {
            std::fill_n(to, padded, T(0));
            if (from) std::copy_n(from, size, to);
        };
        const Share rows = share_of_rows();
        for (long r = rows.begin; r < rows.end; r++) {
            const long b = rows_.order[first_ + r];
            begin_with(dh_ + r * ldo_, ldo_, l_.dh_n ? l_.dh_n + b * l_.O : nullptr, l_.O);
            if (lstm) begin_with(dc_ + r * ldi_, ldi_, l_.dc_n ? l_.dc_n + b * l_.H : nullptr, l_.H);
            if (l_.dx)
                for (long t = rows_.length[b]; t < l_.T_; t++) std::fill_n(l_.dx.at(b, t), l_.I, T(0));
        }
    }

    void step(long t, long n) {
        t_ = t;
        gates_ = l_.gates + (t * p_.count * l_.B + first_) * width;
        step_ = memory_.kept.at(t, first_);
        T *d_input = norm_ ? step_.products[0] : gates_, *d_state = norm_ ? step_.products[1] : gates_;
        if (norm_)
            for (int part = 0; part < P::all; part++) norms_.begin_gradients(part, n);
        if (projects_) project(n);
        if constexpr (lstm)
            if (norm_) outputs(n);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long r = 0; r < n; r++) {
                units(q, r);
                round(row(gates_, q, r), resets_, N);
                if (norm_)
                    for (int part = resets_ ? 2 : 0; part < P::count; part++) add_gradients(part, q, r);
            }
        if constexpr (gru)
            if (resets_) candidates(d_state, n);
        if (norm_) gradients_of_products(0, resets_ ? 2 : P::count, n);
        team_.wait(thread_);
        // Of the GRU's slots, the h product reads r, z and u_n (with the reset before it, only r and z).
        const Slots slots_h{width, gru ? 2 : N, 1, gru && !resets_ ? 1 : 0, l_.B * width, p_.count, p_.last_lanes()};
        const Slots slots_x{width, gru ? 3 : N, 0, 0, l_.B * width, p_.count, p_.last_lanes()};
        add_to_state<T>(l_, d_state, slots_h, &rows_.order[first_], n, memory_.packed_h, share_of_4(l_.O), dh_, ldo_);
        if (l_.dx) {
            auto put = [&](long r, long at, Vec<T> sum) {
                store_some<T>(l_.dx.at(rows_.order[first_ + r], t_) + at, sum, l_.I - at);
            };
            const Share share = Share::of(panels_of_4(l_.I, W), team_.members - 1 - member_, team_.members);
            times_transposed<T>(d_input, slots_x, n, memory_.packed_x, l_.I, share, put);
        }
    }

    // The gradient of h' before its zoneout. dh keeps the part that goes past the step.
    HF_INLINE Vec<T> incoming(long r, long b, long at) {
        T* dh = dh_ + r * ldo_ + at;
        Vec<T> sum = load<T>(dh);
        if (l_.dy) sum = sum + load_some<T>(l_.dy.at(b, t_) + at, l_.O - at);
        const std::uint8_t* mask = l_.zoned_h ? l_.zoned_h + (t_ * l_.B + b) * l_.O + at : nullptr;
        const ZonedGradients<T> d = zoned_backward<T>(mask, std::min(W, l_.O - at), l_.options.zoneout_h, sum);
        store<T>(dh, d.old);
        return d.updated;
    }

    // The gradients of W_hr m, which overwrites W_hr m, and of m, which goes to dinner.
    void project(long n) {
        const T bound = l_.options.proj_clip;
        const Share share = Share::of(outputs_.count, member_, team_.members);
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
    void outputs(long n) {
        const Functions<T, false> fn{o_};
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

    // The gradients of the gates' sums of panel q's units in row r; with the reset before the product, without r.
    void units(long q, long r) {
        T* slots = row(gates_, q, r);
        const long b = rows_.order[first_ + r];
        for (long v = 0; v < p_.units; v++, slots += W) {
            const long at = (q * p_.units + v) * W, count = l_.H - at;
            if (count <= 0) {
                store<T>(slots, Vec<T>{});
                continue;
            }
            Unit<T> u = unit(b, at);
            if (l_.peephole) {
                u.peephole_gradient = sums_ + memory_.places.peepholes + at;
                u.gradient_stride = p_.padded;
            }
            if constexpr (lstm) {
                T* dc = dc_ + r * ldi_ + at;
                const T* c_old = l_.c_before + (t_ * l_.B + first_ + r) * ldi_ + at;
                if (l_.dc_all) store<T>(dc, load<T>(dc) + load_some<T>(l_.dc_all.at(b, t_) + at, count));
                if (norm_) {
                    const LstmGates<T, false> gates(o_, u, slots, c_old);
                    const Vec<T> y = load<T>(step_.cell + r * ldi_ + at), dy = load<T>(dcell_ + r * ldi_ + at);
                    const Vec<T> d_o = gates.stored_o;  // `outputs` has put it into the slot
                    lstm_state_backward<T, false>(gates, d_o, norms_.gradient(P::cell, r, dy, y), dc);
                } else {
                    lstm_backward<T, false>(o_, u, slots, c_old, dinner_ + r * ldi_ + at, dc);
                }
                clear_padding<T>(slots, p_.slots, count);
                continue;
            }
            T* dh = dh_ + r * ldo_ + at;
            if (l_.dy) store<T>(dh, load<T>(dh) + load_some<T>(l_.dy.at(b, t_) + at, count));
            if constexpr (kind == Kind::rnn) {
                rnn_backward<T, false>(o_, u, slots, dh);
                clear_padding<T>(slots, 1, count);
            }
            if constexpr (gru) {
                alignas(64) T h_old[W];
                store<T>(h_old, load_some<T>(previous_h(l_, rows_, b, t_) + at, count));
                if (resets_) {
                    const Vec<T> d_n = gru_state_backward<T, false>(o_, u, slots, h_old, dh);
                    store<T>(slots + 2 * W, d_n);
                    store<T>(slots + 3 * W, d_n);
                } else {
                    gru_backward<T, false>(o_, u, slots, h_old, dh);
                }
                clear_padding<T>(slots, p_.slots, count);
                return;
            }
        }
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
            for (long r = 0; r < n; r++) {
                reset(q, r);
                if (norm_)
                    for (int part = 0; part < 2; part++) add_gradients(part, q, r);
            }
    }

    // From the gradient of r h, in dinner: the gradient of r's sum, and its part of the gradient of h.
    void reset(long q, long r) {
        const Functions<T, false> fn{o_};
        const long b = rows_.order[first_ + r], at = q * W, count = l_.H - at;
        T *slots = row(gates_, q, r), *dh = dh_ + r * ldo_ + at;
        const Vec<T> mask = l_.state_mask ? load_some<T>(l_.mask(b, l_.masks - 1) + at, count) : all<T>(1);
        const Vec<T> d = load<T>(dinner_ + r * ldi_ + at) * mask, gate = load<T>(slots);
        store<T>(dh, load<T>(dh) + d * fn.sigma_of(gate));
        const Vec<T> d_gate = d * load_some<T>(previous_h(l_, rows_, b, t_) + at, count);
        store<T>(slots, only<T>(fn.sigma_backward(gate, d_gate), count));
        round(slots, 0, 1);
    }

    // Rounds the gradients of a row's sums, from slot `begin` to `end` (excluded), where they are operands of products:
    // with layer norm it is the gradients of the normalised products that are.
    void round(T* slots, long begin, long end) const {
        if (l_.rounded && !norm_)
            for (T* v = slots + begin * W; v < slots + end * W; v += W) put<T>(v, load<T>(v), true);
    }

    // Adds one row of a panel to the gradients of gains and biases, and to the sums of the row's norm.
    void add_gradients(int number, long q, long r) {
        const Part part = P::of(number);
        const T *d = row(gates_, q, r), *y = row(step_.products[part.state], q, r);
        const T* gain = memory_.gains + (part.state * p_.count + q) * width;
        T *dgain = sums_ + memory_.places.gain(part.state) + q * width, *dbias = dgain + memory_.places.columns;
        Vec<T> sum{}, products{};
        for (long k = part.begin * W; k < part.end * W; k += W) {
            const Vec<T> dk = load<T>(d + k), yk = load<T>(y + k), scaled = dk * load<T>(gain + k);
            store<T>(dgain + k, load<T>(dgain + k) + dk * yk);
            store<T>(dbias + k, load<T>(dbias + k) + dk);
            sum = sum + scaled;
            products = products + scaled * yk;
        }
        norms_.add_gradient(number, r, sum, products);
    }

    // Combines the sums of the group's threads for the norms of parts.
    void share_gradients(int begin, int end, long n) {
        for (int part = begin; part < end; part++) norms_.publish_gradients(part, n);
        team_.wait(thread_);
        for (int part = begin; part < end; part++)
            norms_.collect_gradients(part, n, (part < P::count ? P::gates(part) : 1) * l_.H, step_.scales + part,
                                     StagesKept<T>::parts);
    }

    // The gradients of the products of parts, which replace the normalised products.
    void gradients_of_products(int begin, int end, long n) {
        share_gradients(begin, end, n);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long r = 0; r < n; r++)
                for (int k = begin; k < end; k++) {
                    const Part part = P::of(k);
                    const T *d = row(gates_, q, r), *gain = memory_.gains + (part.state * p_.count + q) * width;
                    T* y = row(step_.products[part.state], q, r);
                    for (long v = part.begin * W; v < part.end * W; v += W) {
                        const Vec<T> of_y = load<T>(d + v) * load<T>(gain + v);
                        const Vec<T> d_product = norms_.gradient(k, r, of_y, load<T>(y + v));
                        put<T>(y + v, only<T>(d_product, p_.lanes_of(q, v / W)), l_.rounded);
                    }
                }
    }

    const Panels& outputs_;
    const Memory& memory_;
    const long ldo_, ldi_;                     // padded values of a row of outputs, and of units
    T *dh_, *dc_, *dinner_, *dcell_, *sums_;  // from the group's first row on; the thread's sums
};

}  // namespace holdfast::HOLDFAST_ISA
