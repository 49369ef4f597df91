#include "stream.h"

#include <omp.h>

#include <algorithm>
#include <utility>

namespace holdfast {

template <class T>
Linear<T>::Linear(long inputs, long outputs, const T* w, const T* b)
    : inputs(inputs), outputs(outputs), weight(inputs * outputs), bias(outputs) {
    for (long o = 0; o < outputs; o++)
        for (long i = 0; i < inputs; i++) weight[i * outputs + o] = w[o * inputs + i];
    if (b) std::copy_n(b, outputs, bias.begin());
}

template <class T>
void Linear<T>::operator()(const T* x, long rows, T* y) const {
    for (long r = 0; r < rows; r++, x += inputs, y += outputs) {
        std::copy(bias.begin(), bias.end(), y);
        const T* w = weight.data();
        for (long i = 0; i < inputs; i++, w += outputs)
            for (long o = 0; o < outputs; o++) y[o] += x[i] * w[o];
    }
}

template <class T>
void StreamLayer<T>::pack(const Kernels& kernels) {
    const auto [size, pack] = [&] {
        if constexpr (sizeof(T) == 4)
            return std::pair(kernels.packed_size_f32(call), kernels.pack_f32);
        else
            return std::pair(kernels.packed_size_f64(call), kernels.pack_f64);
    }();
    constexpr std::size_t line = 64;  // bytes
    memory.resize(size + line / sizeof(T));
    void* start = memory.data();
    std::size_t bytes = memory.size() * sizeof(T);
    T* packed = static_cast<T*>(std::align(line, size * sizeof(T), start, bytes));
    pack(call, packed);
    call.packed = packed;
    call.weight_ih = call.weight_hh = call.bias_ih = call.bias_hh = nullptr;
    call.weight_hr = call.norm_ih = call.norm_hh = nullptr;
    auto replace_by_copy = [](const T*& values, long count, std::vector<T>& copy) {
        if (!values) return;
        copy.assign(values, values + count);
        values = copy.data();
    };
    replace_by_copy(call.peephole, (call.options.coupled ? 2 : 3) * call.H, peephole);
    replace_by_copy(call.norm_c, call.H, norm_c);
    replace_by_copy(call.norm_c_bias, call.H, norm_c_bias);
}

namespace {

template <class T>
long gates(const Layer<T>& l) {
    return l.kind == Kind::lstm ? (l.options.coupled ? 3 : 4) : l.kind == Kind::gru ? 3 : 1;
}

template <class T>
long state_values(const StreamLayer<T>& l) {
    return l.call.O + (l.call.kind == Kind::lstm ? l.call.H : 0);
}

template <class T>
long all_state_values(const std::vector<StreamLayer<T>>& layers) {
    long values = 0;
    for (const auto& l : layers) values += state_values(l);
    return values;
}

}  // namespace

template <class T>
Stream<T>::Stream(const Kernels& kernels, long B, std::vector<StreamLayer<T>> layers, Linear<T> input,
                  Linear<T> output)
    : B(B), I(input.outputs ? input.inputs : layers.front().call.I),
      O(output.outputs ? output.outputs : layers.back().call.O), state_size(B * all_state_values(layers)),
      kernels_(kernels), layers_(std::move(layers)), input_(std::move(input)), output_(std::move(output)) {
    products_ = input_.inputs * input_.outputs + output_.inputs * output_.outputs;
    widest_ = 0;
    for (auto& l : layers_) {
        l.call.B = B;
        l.call.T_ = 1;
        l.pack(kernels);
        products_ += gates(l.call) * l.call.H * (l.call.I + l.call.O);
        widest_ = std::max(widest_, l.call.O);
    }
    products_ *= B;
    one_step_ = buffers(1);
    next_ = Buffer(new T[state_size]);
}

template <class T>
typename Stream<T>::Buffers Stream<T>::buffers(long steps) const {
    Buffers b;
    if (input_.outputs) b.after_input = Buffer(new T[B * steps * input_.outputs]);
    const bool several = layers_.size() > 1;
    if (several || output_.outputs) b.between[0] = Buffer(new T[B * steps * widest_]);
    if (several) b.between[1] = Buffer(new T[B * steps * widest_]);
    return b;
}

template <class T>
void Stream<T>::advance(const T* x, long steps, T* y, T* state) {
    if (!steps) return;
    Buffers of_call;
    if (steps > 1) of_call = buffers(steps);
    const Buffers& b = steps > 1 ? of_call : one_step_;
    if (input_.outputs) {
        input_(x, B * steps, b.after_input.get());
        x = b.after_input.get();
    }
    const int threads = is_large(steps) ? omp_get_max_threads() : 1;
    long at = 0;
    for (std::size_t k = 0; k < layers_.size(); k++) {
        const StreamLayer<T>& l = layers_[k];
        Layer<T> call = l.call;
        call.threads = threads;
        call.T_ = steps;
        T* to = k + 1 == layers_.size() && !output_.outputs ? y : b.between[k % 2].get();
        call.x = {x, steps * call.I, call.I};
        call.x_value = 1;
        call.y = {to, steps * call.O, call.O};
        call.h0 = state + at;
        call.h_n = next_.get() + at;
        if (call.kind == Kind::lstm) {
            call.c0 = call.h0 + B * call.O;
            call.c_n = call.h_n + B * call.O;
        }
        if constexpr (sizeof(T) == 4)
            kernels_.forward_f32(call);
        else
            kernels_.forward_f64(call);
        if (l.residual)
            for (long v = 0; v < B * steps * call.O; v++) to[v] += x[v];
        x = to;
        at += B * state_values(l);
    }
    if (output_.outputs) output_(x, B * steps, y);
    std::copy_n(next_.get(), state_size, state);
}

template struct Linear<float>;
template struct Linear<double>;
template struct StreamLayer<float>;
template struct StreamLayer<double>;
template class Stream<float>;
template class Stream<double>;

}  // namespace holdfast
