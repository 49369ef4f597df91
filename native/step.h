// The steps of a recurrent layer in a stream, with weights in any storage.
//
// Each step computes the products of all panels first and then all units, so that the units' long chains of operations
// overlap. Threads share the panels. The results of a row do not depend on the other rows or on the number of threads.
#pragma once

#include "forward.h"
#include "step_weights.h"

namespace holdfast::HOLDFAST_ISA {

// The mean and 1 / sqrt(var + ε) of values that are added vector by vector. Sums are double, where the square of no
// float overflows.
class StepNorm {
    static constexpr long W = lanes<float>;
    typedef double Doubles __attribute__((vector_size(2 * Types<float>::bytes)));

  public:
    void add(const float* values, long count) {
        const auto v = __builtin_convertvector(only<float>(load<float>(values), count), Doubles);
        sum_ += v;
        squares_ += v * v;
        count_ += std::min(W, count);
    }
    void finish() {
        double sum = 0, squares = 0;
        for (long k = 0; k < W; k++) sum += sum_[k], squares += squares_[k];
        mean_ = sum / count_;
        const double variance = squares / count_ - mean_ * mean_;
        scale_ = 1 / std::sqrt((variance < 0 ? 0 : variance) + 1e-5);
    }
    Vec<float> operator()(Vec<float> v) const {
        return __builtin_convertvector((__builtin_convertvector(v, Doubles) - mean_) * scale_, Vec<float>);
    }

  private:
    Doubles sum_{}, squares_{};
    double count_ = 0, mean_ = 0, scale_ = 0;
};

// The memory of a call. Rows have step_stride values, of which those past their size are 0 where a product reads them.
struct StepMemory {
    float *h[2], *c, *gates, *products[2], *cell, *inner, *projected, *x;
    std::int16_t* rounded;  // the rows that the last product reads, and their scales
    float* scales;
    long ldh, ldx, ld_inner, ld_gates, ld_projected, ld_rounded, x_thread, rounded_thread;

    static StepMemory take(const Layer<float>& l, const StepWeights& w, Storage storage, long threads,
                           Scratch& scratch) {
        const Panels& p = w.panels;
        const bool norm = l.options.norm, lstm = l.kind == Kind::lstm, inner = l.O != l.H || l.options.reset_before;
        StepMemory m{};
        m.ldh = step_stride(std::max(p.padded, l.O + p.W));
        m.ldx = step_stride(l.I);
        m.ld_inner = step_stride(p.padded);
        m.ld_gates = p.count * p.width();
        m.ld_projected = l.O != l.H ? w.outputs.count * w.outputs.width() : 0;
        m.ld_rounded = step_stride(std::max({l.I, l.O, l.H}));
        m.x_thread = l.B * m.ldx;
        for (float*& h : m.h) h = zeros(scratch, l.B * m.ldh);
        m.c = zeros(scratch, lstm ? l.B * p.padded : 0);
        m.gates = scratch.take<float>(l.B * m.ld_gates);
        for (float*& product : m.products) product = scratch.take<float>(norm ? l.B * m.ld_gates : 0);
        m.cell = scratch.take<float>(norm && lstm ? l.B * p.padded : 0);
        m.inner = zeros(scratch, inner ? l.B * m.ld_inner : 0);
        m.projected = scratch.take<float>(l.B * m.ld_projected);
        m.x = zeros(scratch, threads * m.x_thread);
        m.rounded_thread = storage == Storage::int8 ? l.B * m.ld_rounded : 0;
        m.rounded = scratch.take<std::int16_t>(threads * m.rounded_thread);
        m.scales = scratch.take<float>(threads * padded_stride(l.B, 16));
        return m;
    }

  private:
    static float* zeros(Scratch& scratch, long count) {
        float* values = scratch.take<float>(count);
        std::fill_n(values, count, 0.0f);
        return values;
    }
};

// What one thread does in a call.
template <Kind kind>
class StepThread {
    static constexpr long W = lanes<float>;
    static constexpr bool lstm = kind == Kind::lstm, gru = kind == Kind::gru;

  public:
    StepThread(const Layer<float>& l, Storage storage, const StepWeights& weights, const StepMemory& m,
               Barrier& barrier, long thread, long threads)
        : l_(l), storage_(storage), w_(weights), p_(weights.panels), m_(m), barrier_(barrier), o_(l.options),
          norm_(l.options.norm), projects_(l.O != l.H), resets_(l.options.reset_before), threads_(threads),
          width_(p_.width()), panels_(Share::of(p_.count, thread, threads)),
          outputs_(Share::of(w_.outputs.count, thread, threads)), x_(m.x + thread * m.x_thread),
          rounded_(m.rounded + thread * m.rounded_thread), scales_(m.scales + thread * padded_stride(l.B, 16)),
          h_(m.h[0]), h_new_(m.h[1]) {
        if (projects_) o_.zoneout_h = 0;  // h' gets its zoneout after the projection
    }

    void run() {
        for (long t = 0; t < l_.T_; t++, std::swap(h_, h_new_)) {
            gates(t);
            l_.options.plain && !l_.in_stages() ? units<true>(t) : units<false>(t);
            if constexpr (lstm)
                if (norm_) outputs(t);
            if constexpr (gru)
                if (resets_) candidates(t);
            if (projects_) project(t);
            wait();
        }
    }

  private:
    void wait() { barrier_.wait(threads_); }

    // Rows as the products read them.
    StepRows operand(const float* values, long stride, long count) {
        if (storage_ != Storage::int8) return {values, nullptr, stride};
        for (long b = 0; b < l_.B; b++)
            scales_[b] = round_to_16_bits(values + b * stride, count, rounded_ + b * m_.ld_rounded);
        return {rounded_, scales_, m_.ld_rounded};
    }

    // The sums of the gates.
    void gates(long t) {
        for (long b = 0; b < l_.B; b++) std::copy_n(l_.x.at(b, t), l_.I, x_ + b * m_.ldx);
        for (long b = 0; b < l_.B; b++)
            for (float* sums : {norm_ ? m_.products[0] : m_.gates, norm_ ? m_.products[1] : m_.gates}) {
                const long first = panels_.begin * width_, count = panels_.size() * width_;
                if (norm_)
                    std::fill_n(sums + b * m_.ld_gates + first, count, 0.0f);
                else
                    std::copy_n(w_.bias + first, count, sums + b * m_.ld_gates + first);
            }
        w_.state.add(w_.state_at, operand(h_, m_.ldh, l_.O), l_.B, panels_, norm_ ? m_.products[1] : m_.gates,
                     m_.ld_gates, width_);
        w_.input.add(w_.input_at, operand(x_, m_.ldx, l_.I), l_.B, panels_, norm_ ? m_.products[0] : m_.gates,
                     m_.ld_gates, width_);
        if (!norm_) return;
        wait();
        for (long b = 0; b < l_.B; b++) sum_normalised(b);
    }

    StepNorm norm_of(const float* row, long begin, long end) const {
        StepNorm norm;
        for (long q = 0; q < p_.count; q++)
            for (long n = begin; n < end; n++)
                if (const long count = p_.lanes_of(q, n)) norm.add(row + q * width_ + n * W, count);
        norm.finish();
        return norm;
    }
    // A thread normalises the columns of its own panels, by the mean and scale of all.
    void normalise(long b, bool state, long begin, long end) {
        const float* from = m_.products[state] + b * m_.ld_gates;
        const StepNorm norm = norm_of(from, begin, end);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (long n = begin; n < end; n++) {
                float* sum = m_.gates + b * m_.ld_gates + q * width_ + n * W;
                const long at = q * width_ + n * W;
                store<float>(sum, load<float>(sum) + norm(load<float>(from + at)) * load<float>(w_.gains[state] + at));
            }
    }
    void sum_normalised(long b) {
        const long first = panels_.begin * width_;
        std::copy_n(w_.bias + first, panels_.size() * width_, m_.gates + b * m_.ld_gates + first);
        for (bool state : {false, true}) {
            normalise(b, state, 0, gru ? 2 : p_.columns());
            if (gru && !(state && resets_)) normalise(b, state, 2 + state, 3 + state);
        }
    }

    // All units: their whole step, or the part before the next stage.
    template <bool plain>
    void units(long t) {
        for (long b = 0; b < l_.B; b++)
            for (long q = panels_.begin; q < panels_.end; q++)
                for (long v = 0; v < p_.units; v++) {
                    const long at = (q * p_.units + v) * W, count = l_.H - at;
                    if (count <= 0) break;
                    const Unit<float> u = plain ? Unit<float>{W} : unit_at(l_, b, t, at);
                    float *g = m_.gates + b * m_.ld_gates + q * width_ + v * W, *c = m_.c + b * p_.padded + at;
                    float *to = h_new_ + b * m_.ldh + at, *inner = m_.inner + b * m_.ld_inner + at;
                    const float* h_old = h_ + b * m_.ldh + at;
                    if constexpr (lstm && !plain) {
                        if (norm_) {
                            store<float>(m_.cell + b * p_.padded + at, lstm_state<float, false, 1>(o_, u, g, c).c);
                            continue;
                        }
                        if (projects_) {
                            lstm_forward<float, false, 1>(o_, u, g, h_old, inner, c);
                            clear_padding<float>(inner, 1, count);
                            continue;
                        }
                    }
                    if constexpr (gru && !plain)
                        if (resets_) {
                            const Vec<float> r = gru_gates<float, false, 1>(o_, g).r;
                            store<float>(inner, only<float>(r * load<float>(h_old), count));
                            continue;
                        }
                    cell_forward<float, kind, plain, 1>(l_.options, u, g, h_old, to, c);
                    finish(b, t, at, l_.H, to);
                }
    }

    // Writes h' to y, and clears its padding, which the next product reads.
    void finish(long b, long t, long at, long size, float* h) {
        clear_padding<float>(h, 1, size - at);
        store_some<float>(l_.y.at(b, t) + at, load<float>(h), size - at);
    }

    // The LSTM's m or h' = o ψ(LN(c')).
    void outputs(long t) {
        wait();
        const Functions<float, false> fn{o_};
        for (long b = 0; b < l_.B; b++) {
            StepNorm norm;
            const float* row = m_.cell + b * p_.padded;
            for (long at = 0; at < l_.H; at += W) norm.add(row + at, l_.H - at);
            norm.finish();
            for (long at = panels_.begin * W; at < std::min(l_.H, panels_.end * W); at += W) {
                const long count = l_.H - at;
                const Vec<float> gain = load_some<float>(l_.norm_c + at, count);
                const Vec<float> shift = load_some<float>(l_.norm_c_bias + at, count);
                const float* o = m_.gates + b * m_.ld_gates + at / W * width_ + width_ - W;
                const Vec<float> h =
                    fn.sigma_of(load<float>(o)) * fn.psi(gain * norm(load<float>(row + at)) + shift);
                if (projects_)
                    store<float>(m_.inner + b * m_.ld_inner + at, only<float>(h, count));
                else
                    zoneout(b, t, at, l_.H, h);
            }
        }
    }

    // Stores h' after its zoneout; h has `size` values.
    void zoneout(long b, long t, long at, long size, Vec<float> h) {
        const Vec<float> old = load<float>(h_ + b * m_.ldh + at);
        float* to = h_new_ + b * m_.ldh + at;
        store<float>(to, zoned<float>(nullptr, std::min(W, size - at), l_.options.zoneout_h, old, h));
        finish(b, t, at, size, to);
    }

    // The GRU's candidate from r h, then h'.
    void candidates(long t) {
        wait();
        float* sums = norm_ ? m_.products[1] : m_.gates;
        w_.last.add(w_.last_at, operand(m_.inner, m_.ld_inner, l_.H), l_.B, panels_, sums, m_.ld_gates, width_);
        if (norm_) {
            wait();
            for (long b = 0; b < l_.B; b++) normalise(b, true, 3, 4);
        }
        for (long b = 0; b < l_.B; b++)
            for (long q = panels_.begin; q < panels_.end; q++) {
                const long at = q * W;
                float *g = m_.gates + b * m_.ld_gates + q * width_, *to = h_new_ + b * m_.ldh + at;
                const Vec<float> z = Functions<float, false>{o_}.sigma_of(load<float>(g + W));
                const Vec<float> sum = load<float>(g + 2 * W) + load<float>(g + 3 * W);
                gru_state<float, false, 1>(o_, unit_at(l_, b, t, at), g, z, sum, h_ + b * m_.ldh + at, to);
                finish(b, t, at, l_.H, to);
            }
    }

    // h' = W_hr m, clipped.
    void project(long t) {
        wait();
        const long width = w_.outputs.width(), ld = m_.ld_projected;
        for (long b = 0; b < l_.B; b++)
            std::fill_n(m_.projected + b * ld + outputs_.begin * width, outputs_.size() * width, 0.0f);
        w_.last.add(w_.last_at, operand(m_.inner, m_.ld_inner, l_.H), l_.B, outputs_, m_.projected, ld, width);
        for (long b = 0; b < l_.B; b++)
            for (long at = outputs_.begin * width; at < std::min(l_.O, outputs_.end * width); at += W)
                zoneout(b, t, at, l_.O, clip<float>(l_.options.proj_clip, load<float>(m_.projected + b * ld + at)));
    }

    const Layer<float>& l_;
    const Storage storage_;
    const StepWeights& w_;
    const Panels& p_;
    const StepMemory& m_;
    Barrier& barrier_;
    Options<float> o_;  // of the units
    const bool norm_, projects_, resets_;
    const long threads_, width_;
    const Share panels_, outputs_;
    float* x_;
    std::int16_t* rounded_;
    float *scales_, *h_, *h_new_;
};

}  // namespace holdfast::HOLDFAST_ISA
