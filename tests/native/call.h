// For the tests in this folder: the cells and sizes to test, and a kernel's call with its own memory and numbers.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "../../native/dispatch.h"

namespace holdfast {

struct Variant {
    const char* name;
    Kind kind;
    bool plain = true, coupled = false, peepholes = false, dropped = false, candidate = false, zoned = false;
    int biases = 2;
    double clip = 0, zoneout = 0;
    bool norm = false, reset_before = false;
    bool projects = false;  // to two thirds of the units, clipped
    bool gates_dropped = false;  // `dropped` with a mask for each gate
    Function<double> phi{Activation::tanh}, sigma{Activation::sigmoid}, out{Activation::tanh};
    double gate_clip = 0;

    long outputs(long H) const { return projects && H > 1 ? H * 2 / 3 : H; }
};

inline const Variant variants[] = {
    {.name = "rnn", .kind = Kind::rnn},
    {.name = "rnn relu", .kind = Kind::rnn, .plain = false, .phi = {Activation::relu}, .out = {Activation::relu}},
    {.name = "rnn masks", .kind = Kind::rnn, .plain = false, .dropped = true, .zoned = true, .biases = 1},
    {.name = "lstm", .kind = Kind::lstm},
    {.name = "lstm without bias", .kind = Kind::lstm, .biases = 0},
    {.name = "lstm coupled", .kind = Kind::lstm, .plain = false, .coupled = true},
    {.name = "lstm coupled peepholes", .kind = Kind::lstm, .plain = false, .coupled = true, .peepholes = true},
    {.name = "lstm zoneout in evaluation", .kind = Kind::lstm, .plain = false, .zoneout = 0.3},
    {.name = "lstm everything", .kind = Kind::lstm, .plain = false, .peepholes = true, .dropped = true,
     .candidate = true, .zoned = true, .clip = 0.7, .phi = {Activation::softsign},
     .sigma = {Activation::hard_sigmoid, 0.2, 0.5}, .out = {Activation::leaky_relu, 0.3}, .gate_clip = 0.8},
    {.name = "gru", .kind = Kind::gru},
    {.name = "gru single bias", .kind = Kind::gru, .biases = 1},
    {.name = "gru masks", .kind = Kind::gru, .plain = false, .dropped = true, .candidate = true, .zoned = true,
     .phi = {Activation::elu, 1.7, 1.1}, .sigma = {Activation::scaled_tanh, 0.7, 0.6}, .gate_clip = 0.5},
    {.name = "lstm masks of the gates", .kind = Kind::lstm, .dropped = true, .gates_dropped = true},
    {.name = "lstm coupled masks of the gates", .kind = Kind::lstm, .plain = false, .coupled = true, .dropped = true,
     .gates_dropped = true},
    {.name = "gru masks of the gates", .kind = Kind::gru, .dropped = true, .gates_dropped = true},
    {.name = "rnn layer norm", .kind = Kind::rnn, .plain = false, .dropped = true, .zoned = true, .norm = true},
    {.name = "gru layer norm", .kind = Kind::gru, .plain = false, .biases = 0, .norm = true},
    {.name = "gru reset before", .kind = Kind::gru, .reset_before = true},
    {.name = "gru reset before, layer norm", .kind = Kind::gru, .plain = false, .dropped = true, .candidate = true,
     .zoned = true, .norm = true, .reset_before = true},
    {.name = "gru reset before, masks of the gates", .kind = Kind::gru, .dropped = true, .reset_before = true,
     .gates_dropped = true},
    {.name = "gru masks of the gates, layer norm", .kind = Kind::gru, .dropped = true, .norm = true,
     .reset_before = true, .gates_dropped = true},
    {.name = "lstm layer norm", .kind = Kind::lstm, .norm = true},
    {.name = "lstm projection", .kind = Kind::lstm, .projects = true},
    {.name = "lstm in all stages", .kind = Kind::lstm, .plain = false, .peepholes = true, .dropped = true,
     .candidate = true, .zoned = true, .clip = 0.7, .norm = true, .projects = true,
     .out = {Activation::affine, 0.5, 0.1}, .gate_clip = 0.6},
    {.name = "lstm masks of the gates in all stages", .kind = Kind::lstm, .dropped = true, .norm = true,
     .projects = true, .gates_dropped = true},
    {.name = "lstm coupled in all stages", .kind = Kind::lstm, .plain = false, .coupled = true, .zoneout = 0.3,
     .norm = true, .projects = true},
};

struct Size {
    long B, T, I, H;
};
inline const Size sizes[] = {{1, 1, 1, 1},   {5, 4, 3, 7},  {13, 3, 5, 33},
                             {2, 3, 18, 65}, {41, 2, 2, 5}, {9, 37, 3, 17}, {7, 1, 18, 65}};

// The kernels of an instruction set, full or with products in bfloat16.
struct Tested {
    const Kernels& kernels;
    const char* set;
    bool rounded;
};

// A call with memory of its own, the same numbers for the same seed.
template <class T>
class Call {
  public:
    Layer<T> layer{};

    Call(const Tested& tested, const Variant& v, Size s, bool uneven, bool reverse, int threads, bool every) {
        const long B = s.B, steps = s.T, I = s.I, H = s.H, O = v.outputs(H);
        const long gates = v.kind == Kind::rnn ? 1 : v.kind == Kind::gru ? 3 : 4 - v.coupled;
        const bool lstm = v.kind == Kind::lstm;
        layer.kind = v.kind;
        auto function = [](const Function<double>& f) { return Function<T>{f.name, T(f.a), T(f.b)}; };
        layer.options = {.phi = function(v.phi), .sigma = function(v.sigma), .psi = function(v.out),
                         .gate_clip = T(v.gate_clip), .coupled = v.coupled, .plain = v.plain, .cell_clip = T(v.clip),
                         .zoneout_h = T(v.zoneout), .zoneout_c = T(lstm ? v.zoneout : 0), .norm = v.norm,
                         .reset_before = v.reset_before, .proj_clip = T(O < H ? 0.2 : 0)};
        layer.B = B;
        layer.T_ = steps;
        layer.I = I;
        layer.H = H;
        layer.O = O;
        layer.reverse = reverse;
        layer.threads = threads;
        layer.rounded = tested.rounded;
        if (uneven) {
            lengths_.resize(B);
            for (long b = 0; b < B; b++) lengths_[b] = (b * 2 + 1) % (steps + 1);
            layer.lengths = lengths_.data();
        }
        // Every second value, and NaN in the padding.
        T* x = random(steps * B * I * 2, 1);
        layer.x = over_time<const T>(x, I * 2);
        layer.x_value = 2;
        if (uneven)
            for (long b = 0; b < B; b++)
                for (long t = lengths_[b]; t < steps; t++)
                    std::fill_n(x + (layer.x.at(b, t) - x), 2 * I, std::numeric_limits<T>::quiet_NaN());
        const double scale = 1 / std::sqrt(double(I + H));
        layer.h0 = random(B * O, 0.5);
        if (lstm) layer.c0 = random(B * H, 0.5);
        layer.weight_ih = random(gates * H * I, scale);
        layer.weight_hh = random(gates * H * O, scale);
        if (O < H) layer.weight_hr = random(O * H, scale);
        if (v.biases > 0) layer.bias_ih = random(gates * H, scale);
        if (v.biases > 1) layer.bias_hh = random(gates * H, scale);
        if (v.peepholes) layer.peephole = random((gates - 1) * H, scale);
        if (v.gates_dropped) layer.masks = gates;
        if (v.dropped) layer.state_mask = coins<T>(B * layer.masks * O, 1.5);
        if (v.candidate) layer.candidate = coins<T>(steps * B * H, 1.5);
        if (v.zoned) layer.zoned_h = coins<std::uint8_t>(steps * B * O, 1);
        if (v.zoned && lstm) layer.zoned_c = coins<std::uint8_t>(steps * B * H, 1);
        // Small gains: with large ones, each normalisation would amplify rounding beyond the tolerance.
        if (v.norm) {
            layer.norm_ih = random(gates * H, 0.3);
            layer.norm_hh = random(gates * H, 0.3);
        }
        if (v.norm && lstm) {
            layer.norm_c = random(H, 0.3);
            layer.norm_c_bias = random(H, 0.3);
        }
        layer.y = over_time(output("y", B * steps * O), O);
        layer.h_n = output("h_n", B * O);
        if (lstm) layer.c_n = output("c_n", B * H);
        finals_ = outputs_.size();
        if (lstm && every) {
            layer.c_all = over_time(output("c_all", B * steps * H), H);
            if (uneven) std::fill_n(layer.c_all.data, B * steps * H, T(0));  // not written past a row's length
        }
        const Kept kept = [&] {
            if constexpr (sizeof(T) == 4)
                return tested.kernels.kept_f32(layer);
            else
                return tested.kernels.kept_f64(layer);
        }();
        layer.gates = unset(kept.gates);
        if (kept.c_before) layer.c_before = unset(kept.c_before);
        if (kept.stages) layer.stages = unset(kept.stages);
        layer.dh_n = random(B * O, 1);
        if (every) {  // otherwise only dh_n comes in, and the gradients of x and of the state are not wanted
            layer.dy = over_time<const T>(random(B * steps * O, 1), O);
            if (lstm) {
                layer.dc_n = random(B * H, 1);
                layer.dc_all = over_time<const T>(random(B * steps * H, 1), H);
            }
            layer.dx = over_time(output("dx", B * steps * I), I);
            layer.dh0 = output("dh0", B * O);
            if (lstm) layer.dc0 = output("dc0", B * H);
        }
        layer.dweight_ih = output("dweight_ih", gates * H * I);
        layer.dweight_hh = output("dweight_hh", gates * H * O);
        if (O < H) layer.dweight_hr = output("dweight_hr", O * H);
        if (v.norm) {
            layer.dnorm_ih = output("dnorm_ih", gates * H);
            layer.dnorm_hh = output("dnorm_hh", gates * H);
        }
        if (v.norm && lstm) {
            layer.dnorm_c = output("dnorm_c", H);
            layer.dnorm_c_bias = output("dnorm_c_bias", H);
        }
        if (v.biases > 0) layer.dbias_ih = output("dbias_ih", gates * H);
        if (v.biases > 1) layer.dbias_hh = output("dbias_hh", gates * H);
        if (v.peepholes) layer.dpeephole = output("dpeephole", (gates - 1) * H);
    }

    // Describes the first value that differs from the other call's by more than `tolerance` * max(1, its size); or "".
    std::string difference(const Call& other, double tolerance, bool inference) const {
        for (std::size_t k = 0; k < (inference ? finals_ : outputs_.size()); k++) {
            const Output &a = outputs_[k], &b = other.outputs_[k];
            for (long j = 0; j < a.count; j++) {
                const double from = a.data[j], to = b.data[j];
                if (!(std::abs(from - to) <= tolerance * std::max(1.0, std::abs(to))))
                    return std::string(a.name) + "[" + std::to_string(j) + "] is " + std::to_string(from) + ", not " +
                           std::to_string(to);
            }
        }
        return "";
    }

    // Makes this a call for inference, with packed weights.
    void for_inference(const Kernels& kernels) {
        layer.gates = layer.c_before = layer.stages = nullptr;
        layer.c_all = {};
        if constexpr (sizeof(T) == 4)
            kernels.pack_f32(layer, packed(kernels.packed_size_f32(layer)));
        else
            kernels.pack_f64(layer, packed(kernels.packed_size_f64(layer)));
    }

  private:
    struct Output {
        const char* name;
        const T* data;
        long count;
    };
    template <class U>
    Steps<U> over_time(U* data, long width) const {  // time is the outer index forwards, rows in reverse
        return layer.reverse ? Steps<U>{data, layer.T_ * width, width} : Steps<U>{data, width, layer.B * width};
    }
    T* packed(long count) {
        T* data = unset(count);
        layer.packed = data;
        return data;
    }
    T* unset(long count) {
        memory_.push_back(std::make_unique<T[]>(count));
        std::fill_n(memory_.back().get(), count, std::numeric_limits<T>::quiet_NaN());
        return memory_.back().get();
    }
    T* output(const char* name, long count) {
        outputs_.push_back({name, unset(count), count});
        return memory_.back().get();
    }
    T* random(long count, double scale) {
        std::normal_distribution<double> normal(0, scale);
        T* data = unset(count);
        std::generate_n(data, count, [&] { return T(normal(generator_)); });
        return data;
    }
    template <class U>
    U* coins(long count, double value) {
        U* data;
        if constexpr (std::is_same_v<U, T>) {
            data = unset(count);
        } else {
            bytes_.push_back(std::make_unique<U[]>(count));
            data = bytes_.back().get();
        }
        std::generate_n(data, count, [&] { return U(generator_() % 3 ? value : 0); });
        return data;
    }

    std::mt19937 generator_{7};
    std::vector<std::unique_ptr<T[]>> memory_;
    std::vector<std::unique_ptr<std::uint8_t[]>> bytes_;
    std::vector<std::int64_t> lengths_;
    std::vector<Output> outputs_;
    std::size_t finals_ = 0;  // how many outputs inference has too: y, h_n, c_n
};

inline std::atomic<long> calls{0}, problems{0};

template <class T>
void run(const Kernels& kernels, const Layer<T>& layer, bool backward) {
    if constexpr (sizeof(T) == 4)
        backward ? kernels.backward_f32(layer) : kernels.forward_f32(layer);
    else
        backward ? kernels.backward_f64(layer) : kernels.forward_f64(layer);
    calls++;
}

// streams.cpp
void check_streams(const Tested& tested);

}  // namespace holdfast
