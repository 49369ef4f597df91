// The loop over time, backward, of the cells in stages.
#pragma once

#include "backward.h"
#include "stages.h"

namespace holdfast::HOLDFAST_ISA {

// What threads add up over rows and steps, each for itself: gains and biases as the panels' columns have them, of the
// input's product and then the state's; gain and shift of the cell state; peepholes. A thread's are `size` values.
struct StagesSums {
    long columns, cell, peepholes, size;

    template <class T>
    static StagesSums of(const Layer<T>& l, const Panels& p) {
        StagesSums s{};
        s.columns = l.options.norm ? p.count * p.width() : 0;
        s.cell = 4 * s.columns;
        s.peepholes = s.cell + (l.options.norm && l.kind == Kind::lstm ? 2 * p.padded : 0);
        s.size = s.peepholes + (l.peephole ? (p.gates - 1) * p.padded : 0);
        return s;
    }
    long gain(bool state) const { return 2 * state * columns; }
    long bias(bool state) const { return gain(state) + columns; }
};

template <class T>
struct StagesBackwardMemory {
    T *packed_h, *packed_x, *packed_last, *gains, *sums;
    T *dh, *dc, *dinner, *dcell;  // of dh a row has `outputs`' padded values, of the others the units'
    NormMemory<T> norm;
    StagesKept<T> kept;
    StagesSums places;
};

// One thread's part of a call.
template <class T, Kind kind, int N>
class StagesBackward {
    static constexpr long W = lanes<T>, width = N * W;
    static constexpr bool lstm = kind == Kind::lstm, gru = kind == Kind::gru;
    using P = Parts<kind, N>;
    using Memory = StagesBackwardMemory<T>;

  public:
    StagesBackward(const Layer<T>& l, const Panels& p, const Panels& outputs, Team& team, long thread, const Memory& memory)
        : l_(l), p_(p), outputs_(outputs), team_(team), thread_(thread), member_(team.member(thread)), memory_(memory),
          o_(l.options), norm_(l.options.norm), projects_(l.O != l.H), resets_(l.options.reset_before), rows_(team.rows),
          group_(team.group(thread)), first_(rows_.start[group_]), ldo_(outputs.padded), ldi_(p.padded),
          panels_(Share::of(p.count, member_, team.members)), dh_(memory.dh + first_ * ldo_), dc_(memory.dc + first_ * ldi_),
          dinner_(memory.dinner + first_ * ldi_), dcell_(memory.dcell + first_ * ldi_),
          sums_(memory.sums + thread * memory.places.size), together_(memory.norm, team, thread, P::all) {
        if (projects_) o_.zoneout_h = 0;  // of the units: that of h' comes after the projection
    }

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
        const Share own = share_of_rows();
        for (long r = own.begin; r < own.end; r++) {
            const long b = rows_.order[first_ + r];
            if (l_.dh0) std::copy_n(dh_ + r * ldo_, l_.O, l_.dh0 + b * l_.O);
            if (l_.dc0) std::copy_n(dc_ + r * ldi_, l_.H, l_.dc0 + b * l_.H);
        }
    }

  private:
    Share share_of_rows() const { return Share::of(rows_.start[group_ + 1] - first_, member_, team_.members); }
    Share share_of_4(long values) const { return Share::of(panels_of_4(values, W), member_, team_.members); }
    T* row(T* of_step, long q, long r) const { return of_step + (q * l_.B + r) * width; }

    void begin() {
        std::fill_n(sums_, memory_.places.size, T(0));
        auto begin_with = [](T* to, long padded, const T* from, long size) {
            std::fill_n(to, padded, T(0));
            if (from) std::copy_n(from, size, to);
        };
        const Share own = share_of_rows();
        for (long r = own.begin; r < own.end; r++) {
            const long b = rows_.order[first_ + r];
            begin_with(dh_ + r * ldo_, ldo_, l_.dh_n ? l_.dh_n + b * l_.O : nullptr, l_.O);
            if (lstm) begin_with(dc_ + r * ldi_, ldi_, l_.dc_n ? l_.dc_n + b * l_.H : nullptr, l_.H);
            if (l_.dx)
                for (long t = rows_.length[b]; t < l_.T_; t++) std::fill_n(l_.dx.at(b, t), l_.I, T(0));
        }
    }

    void step(long t, long n) {
        t_ = t;
        const StagesKept<T>& k = memory_.kept;
        gates_ = l_.gates + (t * p_.count * l_.B + first_) * width;
        products_[0] = k.input + t * k.product_step + first_ * width;
        products_[1] = k.state + t * k.product_step + first_ * width;
        projected_ = k.projected + t * k.projected_step + first_ * width;
        cell_ = k.cell + t * k.cell_step + first_ * ldi_;
        scales_ = k.scales + t * k.scales_step + first_ * k.parts;
        T *d_input = norm_ ? products_[0] : gates_, *d_state = norm_ ? products_[1] : gates_;
        if (norm_)
            for (int part = 0; part < P::all; part++) together_.begin_gradients(part, n);
        if (projects_) project(n);
        if constexpr (lstm)
            if (norm_) outputs(n);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long r = 0; r < n; r++) {
                units(q, r);
                if (norm_)
                    for (int part = resets_ ? 2 : 0; part < P::count; part++) add_gradients(part, q, r);
            }
        if constexpr (gru)
            if (resets_) {
                if (norm_) gradients_of_products(2, 4, n);
                team_.wait(thread_);
                auto keep = [&](long r, long at, Vec<T> sum) { store<T>(dinner_ + r * ldi_ + at, sum); };
                times_transposed<T>(d_state + 3 * W, {width, 1, 0, 0, l_.B * width, p_.count, p_.last_lanes()}, n, memory_.packed_last, l_.H,
                                    share_of_4(l_.H), keep);
                team_.wait(thread_);
                for (long q = panels_.begin; q < panels_.end; q++)
                    for (long r = 0; r < n; r++) {
                        reset(q, r);
                        if (norm_)
                            for (int part = 0; part < 2; part++) add_gradients(part, q, r);
                    }
            }
        if (norm_) gradients_of_products(0, resets_ ? 2 : P::count, n);
        team_.wait(thread_);
        // Of the GRU's slots, the state's product sees r, z and, unless the reset came before it, u_n.
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

    // The gradient of h' before its zoneout, of which dh keeps what goes past the step.
    HF_INLINE Vec<T> incoming(long r, long b, long at) {
        T* dh = dh_ + r * ldo_ + at;
        Vec<T> sum = load<T>(dh);
        if (l_.dy) sum = sum + load_some<T>(l_.dy.at(b, t_) + at, l_.O - at);
        const std::uint8_t* mask = l_.zoned_h ? l_.zoned_h + (t_ * l_.B + b) * l_.O + at : nullptr;
        const Parted<T> d = zoned_backward<T>(mask, std::min(W, l_.O - at), l_.options.zoneout_h, sum);
        store<T>(dh, d.old);
        return d.made;
    }

    // The gradients of W_hr m, where that was, and of m, in dinner.
    void project(long n) {
        const T clip = l_.options.proj_clip;
        const Share own = Share::of(outputs_.count, member_, team_.members);
        for (long q = own.begin; q < own.end; q++)
            for (long r = 0; r < n; r++)
                for (long v = 0; v < N; v++) {
                    const long at = q * width + v * W;
                    T* to = row(projected_, q, r) + v * W;
                    Vec<T> d{};
                    if (at < l_.O) d = only<T>(incoming(r, rows_.order[first_ + r], at), l_.O - at);
                    if (at < l_.O && clip > 0) d = abs<T>(load<T>(to)) <= clip ? d : Vec<T>{};
                    store<T>(to, d);
                }
        team_.wait(thread_);
        auto keep = [&](long r, long at, Vec<T> sum) { store<T>(dinner_ + r * ldi_ + at, sum); };
        times_transposed<T>(projected_, {width, N, 0, 0, l_.B * width, outputs_.count, W}, n, memory_.packed_last, l_.H,
                            share_of_4(l_.H), keep);
        team_.wait(thread_);
    }

    // From o ψ(LN(c')): the gradients of o's sum, where o was, and of the normalised c', in dcell.
    void outputs(long n) {
        const Functions<T, false> f{o_};
        for (long q = panels_.begin; q < panels_.end; q++) {
            const long at = q * W, count = l_.H - at;
            const Vec<T> gain = load_some<T>(l_.norm_c + at, count), shift = load_some<T>(l_.norm_c_bias + at, count);
            T* into = sums_ + memory_.places.cell + at;
            Vec<T> dgain = load<T>(into), dshift = load<T>(into + ldi_);
            for (long r = 0; r < n; r++) {
                const Vec<T> d = projects_ ? load<T>(dinner_ + r * ldi_ + at) : incoming(r, rows_.order[first_ + r], at);
                T* slot = row(gates_, q, r) + (N - 1) * W;
                const Vec<T> y = load<T>(cell_ + r * ldi_ + at), shown = gain * y + shift, seen = f.out(shown);
                const Vec<T> kept_o = load<T>(slot);
                store<T>(slot, f.sigma_backward(kept_o, d * seen));
                Vec<T> dy = only<T>(f.out_backward(shown, seen, d * f.sigma_of(kept_o)), count);
                dgain = dgain + dy * y, dshift = dshift + dy;
                dy = dy * gain;
                store<T>(dcell_ + r * ldi_ + at, dy);
                together_.add_gradient(P::cell, r, dy, dy * y);
            }
            store<T>(into, dgain), store<T>(into + ldi_, dshift);
        }
        share_gradients(P::cell, P::all, n);
    }

    // The gradients of the gates' sums of panel q's units in row r; with the reset before the product, all but r's.
    void units(long q, long r) {
        T* slots = row(gates_, q, r);
        const long b = rows_.order[first_ + r];
        for (long v = 0; v < p_.units; v++, slots += W) {
            const long at = (q * p_.units + v) * W, count = l_.H - at;
            if (count <= 0) {
                store<T>(slots, Vec<T>{});
                continue;
            }
            Unit<T> u = unit_at(l_, b, t_, at);
            if (projects_) u.zoned_h = nullptr;
            if (l_.peephole) u.peephole_gradient = sums_ + memory_.places.peepholes + at, u.gradient_stride = p_.padded;
            if constexpr (lstm) {
                T* dc = dc_ + r * ldi_ + at;
                const T* c_old = l_.c_before + (t_ * l_.B + first_ + r) * ldi_ + at;
                if (l_.dc_all) store<T>(dc, load<T>(dc) + load_some<T>(l_.dc_all.at(b, t_) + at, count));
                if (norm_) {
                    const LstmGates<T, false> gates(o_, u, slots, c_old);
                    const Vec<T> y = load<T>(cell_ + r * ldi_ + at), dy = load<T>(dcell_ + r * ldi_ + at);
                    const Vec<T> d_o = gates.kept_o;  // `outputs` has left it there
                    lstm_state_backward<T, false>(o_, u, gates, d_o, together_.gradient(P::cell, r, dy, y), dc);
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
                    store<T>(slots + 2 * W, d_n), store<T>(slots + 3 * W, d_n);
                } else {
                    gru_backward<T, false>(o_, u, slots, h_old, dh);
                }
                clear_padding<T>(slots, p_.slots, count);
                return;
            }
        }
    }

    // The gradient of r's sum from that of r h, in dinner, and what of that goes to h.
    void reset(long q, long r) {
        const Functions<T, false> f{o_};
        const long b = rows_.order[first_ + r], at = q * W, count = l_.H - at;
        T *slots = row(gates_, q, r), *dh = dh_ + r * ldo_ + at;
        const Vec<T> mask = l_.state_mask ? load_some<T>(l_.mask(b, l_.masks - 1) + at, count) : all<T>(1);
        const Vec<T> d = load<T>(dinner_ + r * ldi_ + at) * mask, gate = load<T>(slots);
        store<T>(dh, load<T>(dh) + d * f.sigma_of(gate));
        const Vec<T> d_gate = d * load_some<T>(previous_h(l_, rows_, b, t_) + at, count);
        store<T>(slots, only<T>(f.sigma_backward(gate, d_gate), count));
    }

    // Adds a panel's part in one row to the gradients of gains and biases, and to the row's sums.
    void add_gradients(int number, long q, long r) {
        const Part part = P::of(number);
        const T *d = row(gates_, q, r), *y = row(products_[part.state], q, r);
        const T* gain = memory_.gains + (part.state * p_.count + q) * width;
        T *dgain = sums_ + memory_.places.gain(part.state) + q * width, *dbias = dgain + memory_.places.columns;
        Vec<T> sum{}, products{};
        for (long k = part.begin * W; k < part.end * W; k += W) {
            const Vec<T> dk = load<T>(d + k), yk = load<T>(y + k), scaled = dk * load<T>(gain + k);
            store<T>(dgain + k, load<T>(dgain + k) + dk * yk);
            store<T>(dbias + k, load<T>(dbias + k) + dk);
            sum = sum + scaled, products = products + scaled * yk;
        }
        together_.add_gradient(number, r, sum, products);
    }

    void share_gradients(int begin, int end, long n) {
        for (int part = begin; part < end; part++) together_.tell_gradients(part, n);
        team_.wait(thread_);
        for (int part = begin; part < end; part++)
            together_.hear_gradients(part, n, (part < P::count ? P::gates(part) : 1) * l_.H, scales_ + part,
                                     StagesKept<T>::parts);
    }

    // The gradients of the products of some parts, where they were normalised.
    void gradients_of_products(int begin, int end, long n) {
        share_gradients(begin, end, n);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long r = 0; r < n; r++)
                for (int k = begin; k < end; k++) {
                    const Part part = P::of(k);
                    const T *d = row(gates_, q, r), *gain = memory_.gains + (part.state * p_.count + q) * width;
                    T* y = row(products_[part.state], q, r);
                    for (long v = part.begin * W; v < part.end * W; v += W) {
                        const Vec<T> of_y = load<T>(d + v) * load<T>(gain + v);
                        store<T>(y + v, only<T>(together_.gradient(k, r, of_y, load<T>(y + v)), p_.lanes_of(q, v / W)));
                    }
                }
    }

    const Layer<T>& l_;
    const Panels &p_, &outputs_;
    Team& team_;
    const long thread_, member_;
    const Memory& memory_;
    Options<T> o_;
    const bool norm_, projects_, resets_;
    const Rows& rows_;
    const long group_, first_, ldo_, ldi_;
    const Share panels_;
    T *dh_, *dc_, *dinner_, *dcell_, *sums_;
    Norm<T> together_;
    long t_;
    T *gates_, *products_[2], *projected_, *cell_, *scales_;  // of this step, from this group's first row on
};

// Writes what the threads have added up.
template <class T>
void write_sums(const Layer<T>& l, const Panels& p, const Team& team, const StagesBackwardMemory<T>& m) {
    const StagesSums& places = m.places;
    if (l.options.norm)
        for (bool state : {false, true})
            for (long q = 0; q < p.count; q++)
                for (long n = 0; n < p.columns(); n++) {
                    if (l.kind == Kind::gru && n == (state ? 2 : 3)) continue;
                    const long at = (q * p.columns() + n) * p.W, row = p.row(q, n), count = p.lanes_of(q, n);
                    T* bias = state ? l.dbias_hh : l.dbias_ih;
                    add_up(team, m.sums + places.gain(state) + at, places.size, count,
                           (state ? l.dnorm_hh : l.dnorm_ih) + row);
                    if (bias) add_up(team, m.sums + places.bias(state) + at, places.size, count, bias + row);
                }
    if (l.options.norm && l.kind == Kind::lstm) {
        add_up(team, m.sums + places.cell, places.size, l.H, l.dnorm_c);
        add_up(team, m.sums + places.cell + p.padded, places.size, l.H, l.dnorm_c_bias);
    }
    if (l.peephole)
        for (long g = 0; g + 1 < p.gates; g++)
            add_up(team, m.sums + places.peepholes + g * p.padded, places.size, l.H, l.dpeephole + g * l.H);
}

template <class T, Kind kind, int N>
void run_stages_backward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    const bool norm = l.options.norm, projects = l.O != l.H, resets = l.options.reset_before;
    const Panels outputs = projects ? Panels::in_panels_of(N, l.O, p.W) : p;
    using Weights = BackwardWeights<T, kind, N>;
    constexpr int columns = Weights::columns;
    const Matrix<T> last = projects ? Matrix<T>{l.weight_hr, l.O, l.H, outputs.padded, false}
                           : resets ? Matrix<T>{l.weight_hh + 2 * l.H * l.H, l.H, l.H, l.H, false}
                                    : Matrix<T>{nullptr, 0, 0, 0, false};
    run_in_team(l, p, [&](Team& team) {
        Scratch& scratch = Scratch::begin();
        StagesBackwardMemory<T> m{};
        m.packed_h = scratch.take<T>(Weights::size(p, l.O));
        m.packed_x = l.dx ? scratch.take<T>(Weights::size(p, l.I)) : nullptr;
        m.packed_last = scratch.take<T>(last.packed_size());
        m.gains = scratch.take<T>(norm ? 2 * p.count * p.width() : 0);
        m.places = StagesSums::of(l, p);
        m.sums = scratch.take<T>(team.threads * m.places.size);
        m.dh = scratch.take<T>(l.B * outputs.padded);
        m.dc = scratch.take<T>(kind == Kind::lstm ? l.B * p.padded : 0);
        m.dinner = scratch.take<T>(projects || resets ? l.B * p.padded : 0);
        m.dcell = scratch.take<T>(kind == Kind::lstm && norm ? l.B * p.padded : 0);
        m.norm = NormMemory<T>::take(scratch, team.threads, norm ? Parts<kind, N>::all : 0, most_rows(team.rows));
        m.kept = StagesKept<T>::of(l, p, l.T_, l.stages);
        using Sum = WeightSum<T, kind, N>;
        const StagesKept<T>& k = m.kept;
        const T *d_input = norm ? k.input : l.gates, *d_state = norm ? k.state : l.gates;
        T *bias_ih = norm ? nullptr : l.dbias_ih, *bias_hh = norm ? nullptr : l.dbias_hh;
        auto sums = state_sums<T, kind, N>(l, d_state, bias_hh);
        sums.add(Sum::template of<columns, columns - 1>(Sum::Left::input, l.I, d_input, l.dweight_ih, bias_ih));
        auto from_inner = [&](Sum sum) {
            sum.rows = k.inner, sum.step = k.inner_step, sum.row = k.inner_row;
            return sum;
        };
        if constexpr (kind == Kind::gru)
            if (resets)  // the candidate's has another left factor, r h
                sums.add(from_inner(Sum::template of<1, 3>(Sum::Left::rows, l.H, d_state, l.dweight_hh, bias_hh)));
        const WeightGradients<T, kind, N> gradients(l, p, team, scratch, sums);
        WeightSums<T, kind, N> of_projection;
        if constexpr (kind == Kind::lstm)
            if (projects)
                of_projection.add(
                    from_inner(Sum::template of<N, N - 1>(Sum::Left::rows, l.H, k.projected, l.dweight_hr, nullptr)));
        const WeightGradients<T, kind, N> projection(l, outputs, team, scratch, of_projection);
        return [&, m, gradients, projection](long thread) {
            Weights::pack(l, p, true, Share::of(panels_of_4(l.O, p.W), thread, team.threads), m.packed_h);
            if (l.dx) Weights::pack(l, p, false, Share::of(panels_of_4(l.I, p.W), thread, team.threads), m.packed_x);
            last.pack(Share::of(panels_of_4(last.outputs(), p.W), thread, team.threads), m.packed_last);
            const Share panels = Share::of(p.count, thread, team.threads);
            if (norm)
                for (bool state : {false, true})
                    spread_over_columns<T>(p, state ? l.norm_hh : l.norm_ih, state, panels,
                                           m.gains + state * p.count * p.width());
            team.wait_for_all();
            StagesBackward<T, kind, N>(l, p, outputs, team, thread, m).run();
            team.wait_for_all();
            gradients.run(thread);
            if (projects) projection.run(thread);
            if (thread == 0) write_sums(l, p, team, m);
        };
    });
}

}  // namespace holdfast::HOLDFAST_ISA
