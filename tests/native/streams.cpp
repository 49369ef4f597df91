// For kernels.cpp: compares streams with the kernels that run layer by layer over all steps at once; and measures the
// peak.
//
// The arrays that a stream is made from are freed before it runs. Streams take their input step by step and in chunks,
// with one thread and with several, and two streams run at the same time. tests/layers/test_stream*.py checks that
// the numbers are right.
#include <omp.h>

#include <cstdio>
#include <thread>

#include "../../native/stream.h"
#include "call.h"

namespace holdfast {
namespace {

template <class T>
using Values = std::vector<T>;

template <class T>
Values<T> random(long count, double scale, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal(0, scale);
    Values<T> values(count);
    std::generate_n(values.begin(), count, [&] { return T(normal(generator)); });
    return values;
}

// y = W x + b for consecutive x.
template <class T>
struct Weights {
    long inputs, outputs;
    Values<T> weight = random<T>(inputs * outputs, 1 / std::sqrt(double(inputs)), 3);
    Values<T> bias = random<T>(outputs, 0.3, 4);

    Linear<T> linear(const Kernels& kernels) const {
        return {kernels, Storage::float32, inputs, outputs, weight.data(), bias.data()};
    }
    Values<T> operator()(const Values<T>& x) const {
        Values<T> y;
        for (auto row = x.begin(); row != x.end(); row += inputs)
            for (long o = 0; o < outputs; o++) {
                y.push_back(bias[o]);
                for (long i = 0; i < inputs; i++) y.back() += weight[o * inputs + i] * row[i];
            }
        return y;
    }
};

// Two layers, `around` them linear ones and the second residual; what goes in, and what comes out of the kernels.
template <class T>
class Network {
  public:
    const Size size;
    const long inputs, outputs;
    Values<T> x, y, before, after;  // [B, T, ...], and the states
    std::vector<Stream<T>> streams;

    Network(const Tested& tested, const Variant& v, Size s, bool around, int count)
        : size(s), inputs(around ? s.I + 2 : s.I), outputs(around ? 3 : v.outputs(s.H)),
          x(random<T>(s.B * s.T * inputs, 1, 5)) {
        const Weights<T> input{inputs, s.I}, output{v.outputs(s.H), 3};
        const Values<T> begin = around ? input(x) : x;
        Call<T> first(tested, v, s, false, false, 1, false);
        Call<T> second(tested, v, {s.B, s.T, v.outputs(s.H), s.H}, false, false, 1, false);
        first.layer.x = {begin.data(), s.T * s.I, s.I};
        first.layer.x_value = 1;
        run(tested.kernels, first.layer, false);
        second.layer.x = {first.layer.y.data, first.layer.y.row, first.layer.y.step};
        second.layer.x_value = 1;
        run(tested.kernels, second.layer, false);
        for (long b = 0; b < s.B; b++)
            for (long t = 0; t < s.T; t++)
                for (long o = 0; o < second.layer.O; o++)
                    y.push_back(second.layer.y.at(b, t)[o] + (around ? first.layer.y.at(b, t)[o] : T(0)));
        if (around) y = output(y);
        for (const Layer<T>* l : {&first.layer, &second.layer}) {
            before.insert(before.end(), l->h0, l->h0 + s.B * l->O);
            after.insert(after.end(), l->h_n, l->h_n + s.B * l->O);
            if (!l->c0) continue;
            before.insert(before.end(), l->c0, l->c0 + s.B * l->H);
            after.insert(after.end(), l->c_n, l->c_n + s.B * l->H);
        }
        for (; count > 0; count--) {
            std::vector<StreamLayer<T>> layers;
            layers.push_back(of(first.layer, false));
            layers.push_back(of(second.layer, around));
            streams.emplace_back(tested.kernels, Storage::float32, s.B, std::move(layers),
                                 around ? input.linear(tested.kernels) : Linear<T>{},
                                 around ? output.linear(tested.kernels) : Linear<T>{});
        }
    }

  private:
    static StreamLayer<T> of(const Layer<T>& l, bool residual) {
        StreamLayer<T> result;
        result.residual = residual;
        result.call = {.kind = l.kind, .options = l.options, .I = l.I, .H = l.H, .O = l.O,
                       .weight_ih = l.weight_ih, .weight_hh = l.weight_hh, .bias_ih = l.bias_ih, .bias_hh = l.bias_hh,
                       .weight_hr = l.weight_hr, .peephole = l.peephole, .norm_ih = l.norm_ih, .norm_hh = l.norm_hh,
                       .norm_c = l.norm_c, .norm_c_bias = l.norm_c_bias};
        return result;
    }
};

// Takes all steps, `chunk` at a time. Returns a description of the first wrong value, or "".
template <class T>
std::string differs(const Network<T>& network, Stream<T>& stream, long chunk, int threads) {
    omp_set_num_threads(threads);
    const auto [B, steps, I, H] = network.size;
    Values<T> state = network.before;
    const double tolerance = 16 * std::numeric_limits<T>::epsilon() * double(steps * (network.inputs + I + H));
    auto near = [&](double a, double b) { return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b)); };
    for (long t = 0; t < steps; t += chunk) {
        const long n = std::min(chunk, steps - t);
        Values<T> x, y(B * n * network.outputs, std::numeric_limits<T>::quiet_NaN());
        for (long b = 0; b < B; b++) {
            const auto row = network.x.begin() + (b * steps + t) * network.inputs;
            x.insert(x.end(), row, row + n * network.inputs);
        }
        x.shrink_to_fit();
        stream.advance(x.data(), n, y.data(), state.data());
        calls++;
        for (long k = 0; k < long(y.size()); k++) {
            const long b = k / (n * network.outputs), of_row = k % (n * network.outputs);
            const T expected = network.y[(b * steps + t) * network.outputs + of_row];
            if (!near(y[k], expected))
                return "y[" + std::to_string(k) + "] from step " + std::to_string(t) + " is " + std::to_string(y[k]) +
                       ", not " + std::to_string(expected);
        }
    }
    for (std::size_t k = 0; k < state.size(); k++)
        if (!near(state[k], network.after[k]))
            return "state[" + std::to_string(k) + "] is " + std::to_string(state[k]) + ", not " +
                   std::to_string(network.after[k]);
    return "";
}

// Takes steps of some rows together and of each row alone. Returns a description of the first difference, or "".
template <class T>
std::string rows_differ(const Network<T>& network, Stream<T>& stream, int threads) {
    omp_set_num_threads(threads);
    const long B = network.size.B, T_ = network.size.T;
    Values<T> together = network.before, alone = network.before;
    for (long call = 0; call < B + 2; call++) {
        const long steps = std::min(T_, 1 + call % 2);
        std::vector<std::int64_t> rows;
        for (long r = B - 1 - call % B; r >= 0; r -= 1 + call % 3) rows.push_back(r);
        Values<T> x;
        for (const std::int64_t row : rows) {
            const auto from = network.x.begin() + row * T_ * network.inputs;
            x.insert(x.end(), from, from + steps * network.inputs);
        }
        const long count = long(rows.size()), of_row = steps * network.outputs;
        Values<T> y(count * of_row), one(of_row);
        stream.advance(x.data(), steps, y.data(), together.data(), rows.data(), count);
        for (long k = 0; k < count; k++) {
            stream.advance(&x[k * steps * network.inputs], steps, one.data(), alone.data(), &rows[k], 1);
            calls++;
            if (!std::equal(one.begin(), one.end(), y.begin() + k * of_row))
                return "row " + std::to_string(rows[k]) + " of " + std::to_string(count) + " is not what it is alone";
        }
    }
    return together == alone ? "" : "the states of rows are not what they are alone";
}

template <class T>
void check_stream(const Tested& tested, const Variant& v, Size s, bool around) {
    Network<T> network(tested, v, s, around, 2);
    auto expect = [&](Stream<T>& stream, long chunk, int threads) {
        const std::string different = differs(network, stream, chunk, threads);
        if (different.empty()) return;
        problems++;
        std::printf("%s %s, %zu bytes, stream, B %ld T %ld I %ld H %ld%s, %ld steps at a time, %d threads: %s\n",
                    tested.set, v.name, sizeof(T), s.B, s.T, s.I, s.H, around ? ", linear layers" : "", chunk, threads,
                    different.c_str());
    };
    std::thread other([&] { expect(network.streams[1], 1, 2); });
    expect(network.streams[0], 1, 1);
    other.join();
    expect(network.streams[0], 3, 5);
    expect(network.streams[1], s.T, 3);
    for (int threads : {1, 3})
        if (const std::string different = rows_differ(network, network.streams[0], threads); !different.empty()) {
            problems++;
            std::printf("%s %s, %zu bytes, stream by rows, B %ld I %ld H %ld, %d threads: %s\n", tested.set, v.name,
                        sizeof(T), s.B, s.I, s.H, threads, different.c_str());
        }
}

}  // namespace

void check_streams(const Tested& tested) {
    for (Variant v : variants) {
        v.dropped = v.gates_dropped = v.candidate = v.zoned = false;  // masks are for training
        for (const Size& s : {Size{1, 5, 3, 7}, Size{13, 4, 2, 33}})
            for (bool around : {false, true}) {
                check_stream<float>(tested, v, s, around);
                check_stream<double>(tested, v, s, around);
            }
    }
}

}  // namespace holdfast
