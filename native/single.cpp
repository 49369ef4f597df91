// A call of one step, for one instruction set and type: forward and backward with the weights where they are.
#include "single.h"

#include "in_place.h"
#include "units.h"

namespace holdfast::HOLDFAST_ISA {

// How many threads a call is worth. Waking a thread takes as long as reading about 2^16 weights, or as 2^18
// multiply-adds.
template <class T>
long single_threads(const Layer<T>& l) {
    if (sanitized) return std::max(1L, l.threads);
    return std::clamp(l.gate_count() * l.H * (l.I + l.O) * (l.B + 3) >> 18, 1L, std::max(1L, l.threads));
}

// x with contiguous rows.
template <class T>
InPlace<T> input_rows(const Layer<T>& l, Scratch& scratch) {
    T* copy = scratch.take<T>(l.x_value == 1 ? 0 : l.B * l.I);
    if (l.x_value == 1) return {l.weight_ih, l.I, l.x.data, l.x.row};
    for (long b = 0; b < l.B; b++)
        for (long k = 0; k < l.I; k++) copy[b * l.I + k] = l.x.at(b, 0)[k * l.x_value];
    return {l.weight_ih, l.I, copy, l.I};
}

// What forward and backward share. `width`: the values of a row in a panel.
template <class T>
class SingleStep {
  protected:
    static constexpr long W = lanes<T>;

    SingleStep(const Layer<T>& l, const Panels& p, const InPlace<T>& x)
        : l_(l), p_(p), input_(x), state_{l.weight_hh, l.O, l.h0, l.O}, width_(p.width()), lstm_(l.kind == Kind::lstm),
          gru_(l.kind == Kind::gru) {}

    // The rows whose units are computed at once, from `first` on. Their states are copied into whole vectors.
    static constexpr long most_rows = 16;
    struct SomeRows {
        long first, count, order[most_rows];
    };
    template <class F>
    void some_rows(F f) const {
        for (long b = 0; b < l_.B; b += most_rows) {
            SomeRows rows{b, std::min(most_rows, l_.B - b), {}};
            for (long k = 0; k < rows.count; k++) rows.order[k] = b + k;
            f(rows);
        }
    }

    const Layer<T>& l_;
    const Panels& p_;
    const InPlace<T>&input_, state_;
    const long width_;
    const bool lstm_, gru_;
};

// The forward step of a thread's panels.
template <class T>
class SingleForward : SingleStep<T> {
    using Base = SingleStep<T>;
    using Base::l_, Base::p_, Base::input_, Base::state_, Base::width_, Base::lstm_, Base::gru_, Base::W;
    using Base::most_rows, typename Base::SomeRows;

  public:
    SingleForward(const Layer<T>& l, const Panels& p, const InPlace<T>& x, T* gates)
        : Base(l, p, x), gates_(gates) {}

    void run(Share panels) const {
        for (long q = panels.begin; q < panels.end; q++) {
            T* g = l_.gates ? l_.gates + q * l_.B * width_ : gates_;
            for (long n = 0; n < p_.columns(); n++) column(q, n, g + n * W);
            for (long v = 0; v < p_.units; v++) {
                const long at = (q * p_.units + v) * W;
                if (at >= l_.H) break;
                this->some_rows([&](const SomeRows& rows) { units(rows, at, g + rows.first * width_ + v * W); });
            }
        }
    }

  private:
    // The sums of a vector of gates, for all rows.
    void column(long q, long n, T* out) const {
        constexpr auto tiles = by_rows<in_place_rows<T>>([](auto m) { return dots<T, m>; });
        const bool x_only = gru_ && n == 2, h_only = gru_ && n == 3;
        const long row = p_.row(q, n), present = p_.lanes_of(q, n);
        InPlace<T> products[2];
        int count = 0;
        for (const InPlace<T>* product : {h_only ? nullptr : &input_, x_only ? nullptr : &state_})
            if (product && present) {
                products[count] = *product;
                products[count++].weight += row * product->K;
            }
        Vec<T> start{};
        if (l_.bias_ih && !h_only && present) start = load_some<T>(l_.bias_ih + row, present);
        if (l_.bias_hh && !x_only && present) start = start + load_some<T>(l_.bias_hh + row, present);
        over_rows(l_.B, tiles.size(), [&](long m, long b) {
            tiles[m - 1](products, count, present, b, start, out + b * width_, width_);
        });
    }

    // The vector of units from `at` on.
    void units(const SomeRows& rows, long at, T* g) const {
        const Layer<T>& l = l_;
        const long count = l.H - at;
        alignas(64) T h_old[most_rows * W], h[most_rows * W], c[most_rows * W];
        for (long k = 0; k < rows.count; k++) {
            const long place = rows.order[k] * l.H + at;
            store<T>(h_old + k * W, load_some<T>(l.h0 + place, count));
            if (!lstm_) continue;
            const Vec<T> c_old = load_some<T>(l.c0 + place, count);
            store<T>(c + k * W, c_old);
            if (l.c_before) store<T>(l.c_before + rows.order[k] * p_.padded + at, c_old);
        }
        forward_({l, rows.order, 0, at, 0, rows.count, g, width_, h_old, W, h, W, c, nullptr, W});
        for (long k = 0; k < rows.count; k++) {
            const long b = rows.order[k], place = b * l.H + at;
            store_some<T>(l.h_n + place, load<T>(h + k * W), count);
            if (lstm_) store_some<T>(l.c_n + place, load<T>(c + k * W), count);
            if (lstm_ && l.c_all) store_some<T>(l.c_all.at(b, 0) + at, load<T>(c + k * W), count);
        }
    }

    T* const gates_;
    void (*const forward_)(const UnitsForward<T>&) = forward_units_of(l_);
};

// The backward step of a thread: the gradients of its panels' sums, then its share of every product.
template <class T>
class SingleBackward : SingleStep<T> {
    using Base = SingleStep<T>;
    using Base::l_, Base::p_, Base::input_, Base::width_, Base::lstm_, Base::gru_, Base::W;
    using Base::most_rows, typename Base::SomeRows;

  public:
    // sums: the gradients of the sums, [B, slots of a unit, H].
    SingleBackward(const Layer<T>& l, const Panels& p, const InPlace<T>& x, T* sums)
        : Base(l, p, x), sums_(sums), ld_(p.slots * l.H) {}

    void units(Share panels) const {
        for (long q = panels.begin; q < panels.end; q++)
            for (long v = 0; v < p_.units; v++) {
                const long at = (q * p_.units + v) * W;
                if (at >= l_.H) break;
                vector_of_units(at, l_.gates + q * l_.B * width_ + v * W);
            }
    }

    void products(long thread, long threads) const {
        const long H = l_.H, rows = l_.gate_count() * H;
        const Share inputs = Share::of((l_.I + W - 1) / W, threads - 1 - thread, threads);
        const Share outputs = Share::of((l_.O + W - 1) / W, thread, threads);
        auto stripes = [&](bool state, Share share, auto run) {  // run(stripes, count)
            const long candidate = gru_ && state ? std::clamp(2 * H, share.begin, share.end) : share.end;
            Stripe<T> both[] = {{sums_ + share.begin, ld_, share.begin, candidate - share.begin},
                                {sums_ + candidate + H, ld_, candidate, share.end - candidate}};
            run(both, candidate < share.end ? 2 : 1);
        };
        const Share all{0, rows}, own = Share::of(rows, thread, threads);
        if (l_.dx) stripes(false, all, [&](Stripe<T>* of, int count) {
            times_weights<T>(of, count, l_.B, l_.weight_ih, l_.I, inputs, false, l_.dx.data, l_.dx.row);
        });
        if (l_.dh0) stripes(true, all, [&](Stripe<T>* of, int count) {
            times_weights<T>(of, count, l_.B, l_.weight_hh, l_.O, outputs, true, l_.dh0, l_.O);
        });
        stripes(false, own, [&](const Stripe<T>* of, int count) {
            for (int k = 0; k < count; k++)
                weight_gradients_in_place<T>(of[k], input_.rows, input_.ld, l_.B, l_.I, l_.dweight_ih);
        });
        stripes(true, own, [&](const Stripe<T>* of, int count) {
            for (int k = 0; k < count; k++)
                weight_gradients_in_place<T>(of[k], l_.h0, l_.O, l_.B, l_.O, l_.dweight_hh);
        });
    }

  private:
    // All rows of the vector of units from `at` on, and the gradients of their biases and peepholes.
    void vector_of_units(long at, T* slots) const {
        const Layer<T>& l = l_;
        const long count = l.H - at;
        alignas(64) T peephole[3 * W] = {};
        Vec<T> bias[4] = {};
        this->some_rows([&](const SomeRows& rows) {
            T* const g = slots + rows.first * width_;
            units(rows, at, g, peephole);
            for (long k = 0; k < rows.count; k++)
                for (long s = 0; s < p_.slots; s++) {
                    const Vec<T> d = load<T>(g + k * width_ + s * W);
                    bias[s] = bias[s] + d;
                    store_some<T>(sums_ + rows.order[k] * ld_ + s * l.H + at, d, count);
                }
        });
        for (long s = 0; s < p_.slots; s++) {
            const long gate = gru_ && s == 3 ? 2 : s;
            if (l.dbias_ih && !(gru_ && s == 3)) store_some<T>(l.dbias_ih + gate * l.H + at, bias[s], count);
            if (l.dbias_hh && !(gru_ && s == 2)) store_some<T>(l.dbias_hh + gate * l.H + at, bias[s], count);
        }
        for (long k = 0; l.peephole && k + 1 < p_.gates; k++)
            store_some<T>(l.dpeephole + k * l.H + at, load<T>(peephole + k * W), count);
    }

    void units(const SomeRows& rows, long at, T* g, T* peephole) const {
        const Layer<T>& l = l_;
        const long count = l.H - at;
        alignas(64) T dh[most_rows * W], dc[most_rows * W];
        for (long k = 0; k < rows.count; k++) {
            const long b = rows.order[k], place = b * l.H + at;
            store<T>(dh + k * W, sum_of(l.dh_n, place, l.dy, b, at));
            if (lstm_) store<T>(dc + k * W, sum_of(l.dc_n, place, l.dc_all, b, at));
        }
        const T* c_before = lstm_ ? l.c_before + rows.first * p_.padded + at : nullptr;
        backward_({l, rows.order, nullptr, 0, at, 1, rows.count, g, width_, c_before, p_.padded, dh, dc, W, peephole,
                   W});
        for (long k = 0; k < rows.count; k++) {
            const long place = rows.order[k] * l.H + at;
            if (l.dh0) store_some<T>(l.dh0 + place, load<T>(dh + k * W), count);
            if (l.dc0) store_some<T>(l.dc0 + place, load<T>(dc + k * W), count);
        }
    }

    // The gradient of a vector of the state: of the final state plus the one of the step, where they are not null.
    Vec<T> sum_of(const T* last, long place, const Steps<const T>& step, long b, long at) const {
        Vec<T> d{};
        if (last) d = load_some<T>(last + place, l_.H - at);
        return step ? d + load_some<T>(step.at(b, 0) + at, l_.H - at) : d;
    }

    T* const sums_;
    const long ld_;
    void (*const backward_)(const UnitsBackward<T>&) = backward_units_of(l_);
};

template <class T>
void single_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    in_threads(single_threads(l), [&](long threads) {
        Scratch& scratch = Scratch::begin();
        const InPlace<T> x = input_rows(l, scratch);
        const long of_thread = l.gates ? 0 : l.B * p.width();
        T* gates = scratch.take<T>(threads * of_thread);
        return parallel(threads, [&](long thread) {
            SingleForward<T>(l, p, x, gates + thread * of_thread).run(Share::of(p.count, thread, threads));
        });
    });
}

template <class T>
void single_backward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    in_threads(single_threads(l), [&](long threads) {
        Scratch& scratch = Scratch::begin();
        const InPlace<T> x = input_rows(l, scratch);
        const SingleBackward<T> step(l, p, x, scratch.take<T>(l.B * p.slots * l.H));
        Barrier barrier;
        return parallel(threads, [&](long thread) {
            step.units(Share::of(p.count, thread, threads));
            barrier.wait(threads);
            step.products(thread, threads);
        });
    });
}

template void single_forward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);
template void single_backward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);

}  // namespace holdfast::HOLDFAST_ISA
