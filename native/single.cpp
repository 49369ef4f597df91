// A call of one step, for one instruction set and type: forward and backward with the weights where they are.
#include "backward.h"
#include "forward.h"
#include "in_place.h"
#include "loops.h"
#include "single.h"

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

// The forward step of a thread's panels.
template <class T, Kind kind, int N, bool plain>
class SingleForward {
    static constexpr long W = lanes<T>, width = N * W;
    static constexpr bool lstm = kind == Kind::lstm, gru = kind == Kind::gru;

  public:
    SingleForward(const Layer<T>& l, const Panels& p, const InPlace<T>& x, T* gates)
        : l_(l), p_(p), input_(x), state_{l.weight_hh, l.O, l.h0, l.O}, gates_(gates) {}

    void run(Share panels) const {
        for (long q = panels.begin; q < panels.end; q++) {
            T* g = l_.gates ? l_.gates + q * l_.B * width : gates_;
            for (long n = 0; n < N; n++) column(q, n, g + n * W);
            for (long v = 0; v < p_.units; v++) {
                const long at = (q * p_.units + v) * W;
                if (at >= l_.H) break;
                long b = 0;
                if constexpr (plain)
                    for (; b + 2 <= l_.B; b += 2) units<2>(b, at, g + b * width + v * W);
                for (; b < l_.B; b++) units<1>(b, at, g + b * width + v * W);
            }
        }
    }

  private:
    // The sums of a vector of gates, for all rows.
    void column(long q, long n, T* out) const {
        constexpr auto tiles = by_rows<in_place_rows<T>>([](auto m) { return dots<T, m>; });
        const bool x_only = gru && n == 2, h_only = gru && n == 3;
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
            tiles[m - 1](products, count, present, b, start, out + b * width, width);
        });
    }

    // R rows from b on of the vector of units from `at` on.
    template <int R>
    HF_INLINE void units(long b, long at, T* g) const {
        const Layer<T>& l = l_;
        const long count = l.H - at;
        alignas(64) T h_old[R * W], h[R * W], c[R * W];
        for (int j = 0; j < R; j++) {
            store<T>(h_old + j * W, load_some<T>(l.h0 + (b + j) * l.H + at, count));
            if constexpr (lstm) {
                const Vec<T> c_old = load_some<T>(l.c0 + (b + j) * l.H + at, count);
                store<T>(c + j * W, c_old);
                if (l.c_before) store<T>(l.c_before + (b + j) * p_.padded + at, c_old);
            }
        }
        const Unit<T> u = plain ? Unit<T>{W} : unit_at(l, b, 0, at);
        forward_units<T, kind, plain, R>(l, u, {g, width}, {h_old, W}, {h, W}, {c, W});
        for (int j = 0; j < R; j++) {
            store_some<T>(l.y.at(b + j, 0) + at, load<T>(h + j * W), count);
            store_some<T>(l.h_n + (b + j) * l.H + at, load<T>(h + j * W), count);
            if constexpr (lstm) store_some<T>(l.c_n + (b + j) * l.H + at, load<T>(c + j * W), count);
            if (lstm && l.c_all) store_some<T>(l.c_all.at(b + j, 0) + at, load<T>(c + j * W), count);
        }
    }

    const Layer<T>& l_;
    const Panels& p_;
    const InPlace<T>&input_, state_;
    T* const gates_;
};

// The backward step of a thread: the gradients of its panels' sums, then its share of every product.
template <class T, Kind kind, int N, bool plain>
class SingleBackward {
    static constexpr long W = lanes<T>, width = N * W;
    static constexpr bool lstm = kind == Kind::lstm, gru = kind == Kind::gru;
    static constexpr int slots = kind == Kind::rnn ? 1 : N;  // of a unit

  public:
    // sums: the gradients of the sums, [B, slots of a unit, H].
    SingleBackward(const Layer<T>& l, const Panels& p, const InPlace<T>& x, T* sums)
        : l_(l), p_(p), x_(x), sums_(sums), ld_(slots * l.H) {}

    void units(Share panels) const {
        for (long q = panels.begin; q < panels.end; q++)
            for (long v = 0; v < p_.units; v++) {
                const long at = (q * p_.units + v) * W;
                if (at >= l_.H) break;
                vector_of_units(at, l_.gates + q * l_.B * width + v * W);
            }
    }

    void products(long thread, long threads) const {
        const long H = l_.H, rows = (gru ? 3 : slots) * H;
        const Share inputs = Share::of((l_.I + W - 1) / W, threads - 1 - thread, threads);
        const Share outputs = Share::of((l_.O + W - 1) / W, thread, threads);
        auto stripes = [&](bool state, Share share, auto run) {  // run(stripes, count)
            const long candidate = gru && state ? std::clamp(2 * H, share.begin, share.end) : share.end;
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
                weight_gradients_in_place<T>(of[k], x_.rows, x_.ld, l_.B, l_.I, l_.dweight_ih);
        });
        stripes(true, own, [&](const Stripe<T>* of, int count) {
            for (int k = 0; k < count; k++)
                weight_gradients_in_place<T>(of[k], l_.h0, l_.O, l_.B, l_.O, l_.dweight_hh);
        });
    }

  private:
    // All rows of the vector of units from `at` on, and the gradients of their biases and peepholes.
    void vector_of_units(long at, T* slots_of_row) const {
        const Layer<T>& l = l_;
        const long count = l.H - at;
        alignas(64) T peephole[3 * W] = {};
        Vec<T> bias[slots] = {};
        for (long b = 0; b < l.B; b++, slots_of_row += width) {
            Unit<T> u = plain ? Unit<T>{W} : unit_at(l, b, 0, at);
            if (!plain && l.peephole) {
                u.peephole_gradient = peephole;
                u.gradient_stride = W;
            }
            unit(u, b, at, count, slots_of_row);
            for (int s = 0; s < slots; s++) {
                const Vec<T> d = load<T>(slots_of_row + s * W);
                bias[s] = bias[s] + d;
                store_some<T>(sums_ + b * ld_ + s * l.H + at, d, count);
            }
        }
        for (int s = 0; s < slots; s++) {
            const long gate = gru && s == 3 ? 2 : s;
            if (l.dbias_ih && !(gru && s == 3)) store_some<T>(l.dbias_ih + gate * l.H + at, bias[s], count);
            if (l.dbias_hh && !(gru && s == 2)) store_some<T>(l.dbias_hh + gate * l.H + at, bias[s], count);
        }
        for (long k = 0; l.peephole && k + 1 < p_.gates; k++)
            store_some<T>(l.dpeephole + k * l.H + at, load<T>(peephole + k * W), count);
    }

    HF_INLINE void unit(const Unit<T>& u, long b, long at, long count, T* g) const {
        const Layer<T>& l = l_;
        const long place = b * l.H + at;
        alignas(64) T dh[W], dc[W], h_old[W];
        Vec<T> d{};
        if (l.dh_n) d = load_some<T>(l.dh_n + place, count);
        if (l.dy) d = d + load_some<T>(l.dy.at(b, 0) + at, count);
        store<T>(dh, d);
        if constexpr (kind == Kind::rnn) rnn_backward<T, plain>(l.options, u, g, dh);
        if constexpr (lstm) {
            d = Vec<T>{};
            if (l.dc_n) d = load_some<T>(l.dc_n + place, count);
            if (l.dc_all) d = d + load_some<T>(l.dc_all.at(b, 0) + at, count);
            store<T>(dc, d);
            lstm_backward<T, plain>(l.options, u, g, l.c_before + b * p_.padded + at, dh, dc);
            if (l.dc0) store_some<T>(l.dc0 + place, load<T>(dc), count);
        }
        if constexpr (gru) {
            store<T>(h_old, load_some<T>(l.h0 + place, count));
            gru_backward<T, plain>(l.options, u, g, h_old, dh);
        }
        if (l.dh0) store_some<T>(l.dh0 + place, load<T>(dh), count);
    }

    const Layer<T>& l_;
    const Panels& p_;
    const InPlace<T>& x_;
    T* const sums_;
    const long ld_;
};

template <class T, Kind kind, int N, bool plain>
void run_single_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    in_threads(single_threads(l), [&](long threads) {
        Scratch& scratch = Scratch::begin();
        const InPlace<T> x = input_rows(l, scratch);
        const long of_thread = l.gates ? 0 : l.B * p.width();
        T* gates = scratch.take<T>(threads * of_thread);
        return parallel(threads, [&](long thread) {
            SingleForward<T, kind, N, plain>(l, p, x, gates + thread * of_thread)
                .run(Share::of(p.count, thread, threads));
        });
    });
}

template <class T, Kind kind, int N, bool plain>
void run_single_backward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    in_threads(single_threads(l), [&](long threads) {
        Scratch& scratch = Scratch::begin();
        const InPlace<T> x = input_rows(l, scratch);
        const SingleBackward<T, kind, N, plain> step(l, p, x, scratch.take<T>(l.B * p.slots * l.H));
        Barrier barrier;
        return parallel(threads, [&](long thread) {
            step.units(Share::of(p.count, thread, threads));
            barrier.wait(threads);
            step.products(thread, threads);
        });
    });
}

template <class T>
void single_forward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) {
        l.options.plain ? run_single_forward<T, kind, columns, true>(l)
                        : run_single_forward<T, kind, columns, false>(l);
    });
}

template <class T>
void single_backward(const Layer<T>& l) {
    with_cell(l, [&](auto kind, auto columns) {
        l.options.plain ? run_single_backward<T, kind, columns, true>(l)
                        : run_single_backward<T, kind, columns, false>(l);
    });
}

template void single_forward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);
template void single_backward<HOLDFAST_REAL>(const Layer<HOLDFAST_REAL>&);

}  // namespace holdfast::HOLDFAST_ISA
