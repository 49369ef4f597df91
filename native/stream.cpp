#include "stream.h"

#include <omp.h>

#include <algorithm>
#include <utility>

namespace holdfast {

template <class T>
Linear<T>::Linear(const Kernels& kernels, Storage storage, long inputs, long outputs, const T* weight, const T* bias)
    : inputs(inputs), outputs(outputs), kernels_(&kernels), storage_(storage) {
    if constexpr (sizeof(T) == 4) {
        packed_ = Block(kernels.linear_bytes(inputs, outputs, storage));
        kernels.pack_linear(inputs, outputs, storage, weight, bias, packed_.data());
    } else {
        weight_.resize(inputs * outputs);
        bias_.resize(outputs);
        for (long o = 0; o < outputs; o++)
            for (long i = 0; i < inputs; i++) weight_[i * outputs + o] = weight[o * inputs + i];
        if (bias) std::copy_n(bias, outputs, bias_.begin());
    }
}

template <class T>
void Linear<T>::operator()(const T* x, long rows, long threads, T* y) const {
    if constexpr (sizeof(T) == 4) {
        kernels_->linear({rows, inputs, outputs, threads, storage_, packed_.data(), x, y});
    } else {
        for (long r = 0; r < rows; r++, x += inputs, y += outputs) {
            std::copy(bias_.begin(), bias_.end(), y);
            const double* w = weight_.data();
            for (long i = 0; i < inputs; i++, w += outputs)
                for (long o = 0; o < outputs; o++) y[o] += x[i] * w[o];
        }
    }
}

template <class T>
void StreamLayer<T>::pack(const Kernels& kernels, Storage storage) {
    storage_ = storage;
    if constexpr (sizeof(T) == 4) {
        packed_ = Block(kernels.steps_bytes(call, storage));
        kernels.pack_steps(call, storage, packed_.data());
    } else {
        packed_ = Block(kernels.packed_size_f64(call) * 8);
        kernels.pack_f64(call, static_cast<double*>(packed_.data()));
    }
    call.packed = static_cast<const T*>(packed_.data());
    call.weight_ih = call.weight_hh = call.bias_ih = call.bias_hh = nullptr;
    call.weight_hr = call.norm_ih = call.norm_hh = nullptr;
    auto replace_by_copy = [](const T*& values, long count, std::vector<T>& copy) {
        if (!values) return;
        copy.assign(values, values + count);
        values = copy.data();
    };
    replace_by_copy(call.peephole, (call.options.coupled ? 2 : 3) * call.H, peephole_);
    replace_by_copy(call.norm_c, call.H, norm_c_);
    replace_by_copy(call.norm_c_bias, call.H, norm_c_bias_);
}

template <class T>
void StreamLayer<T>::operator()(const Kernels& kernels, const Layer<T>& layer) const {
    if constexpr (sizeof(T) == 4)
        kernels.steps(layer, storage_);
    else
        kernels.forward_f64(layer);
}

namespace {

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
Stream<T>::Stream(const Kernels& kernels, Storage storage, long B, std::vector<StreamLayer<T>> layers,
                  Linear<T> input, Linear<T> output)
    : B(B), I(input.outputs ? input.inputs : layers.front().call.I),
      O(output.outputs ? output.outputs : layers.back().call.O), state_size(B * all_state_values(layers)),
      kernels_(kernels), layers_(std::move(layers)), input_(std::move(input)), output_(std::move(output)) {
    products_ = input_.inputs * input_.outputs + output_.inputs * output_.outputs;
    widest_ = 0;
    for (auto& l : layers_) {
        l.call.B = B;
        l.call.T_ = 1;
        l.pack(kernels, storage);
        products_ += l.call.gate_count() * l.call.H * (l.call.I + l.call.O);
        widest_ = std::max(widest_, l.call.O);
    }
    one_step_ = buffers(1);
    before_ = Buffer(new T[state_size]);
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
template <class F>
void Stream<T>::over_state(const std::int64_t* rows, long count, F f) const {
    long at = 0, at_all = 0;
    for (const StreamLayer<T>& l : layers_)
        for (const long size : {l.call.O, l.call.kind == Kind::lstm ? l.call.H : 0L}) {
            for (long k = 0; k < count; k++) f(at + k * size, at_all + rows[k] * size, size);
            at += count * size;
            at_all += B * size;
        }
}

template <class T>
void Stream<T>::advance(const T* x, long steps, T* y, T* state, const std::int64_t* rows, long count) {
    if (!steps || !count) return;
    Buffers of_call;
    if (steps > 1) of_call = buffers(steps);
    const Buffers& b = steps > 1 ? of_call : one_step_;
    const int threads = is_large(count * steps) ? omp_get_max_threads() : 1;
    const T* before = rows ? before_.get() : state;
    if (rows)
        over_state(rows, count, [&](long at, long from, long size) { std::copy_n(state + from, size, &before_[at]); });
    if (input_.outputs) {
        input_(x, count * steps, threads, b.after_input.get());
        x = b.after_input.get();
    }
    long at = 0;
    for (std::size_t k = 0; k < layers_.size(); k++) {
        const StreamLayer<T>& l = layers_[k];
        Layer<T> call = l.call;
        call.threads = threads;
        call.B = count;
        call.T_ = steps;
        T* to = k + 1 == layers_.size() && !output_.outputs ? y : b.between[k % 2].get();
        call.x = {x, steps * call.I, call.I};
        call.x_value = 1;
        call.y = {to, steps * call.O, call.O};
        call.h0 = before + at;
        call.h_n = next_.get() + at;
        if (call.kind == Kind::lstm) {
            call.c0 = call.h0 + count * call.O;
            call.c_n = call.h_n + count * call.O;
        }
        l(kernels_, call);
        if (l.residual)
            for (long v = 0; v < count * steps * call.O; v++) to[v] += x[v];
        x = to;
        at += count * state_values(l);
    }
    if (output_.outputs) output_(x, count * steps, threads, y);
    if (rows)
        over_state(rows, count, [&](long at, long to, long size) { std::copy_n(&next_[at], size, state + to); });
    else
        std::copy_n(next_.get(), state_size, state);
}

template class Linear<float>;
template class Linear<double>;
template struct StreamLayer<float>;
template struct StreamLayer<double>;
template class Stream<float>;
template class Stream<double>;

}  // namespace holdfast
