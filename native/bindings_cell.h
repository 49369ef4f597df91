// A cell in one direction as a class of Python, for calls that come often and are short. It reads what describes the
// cell once. A call gives only sizes, addresses as numbers (0: null), and (address, strides ...) of arrays over time.
//
// src/holdfast/engines/native_cell.py allocates every array, keeps it alive during the call, and checks types, shapes
// and layout; `step`, and a layer of such cells (bindings_layer.h), do this themselves.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "bindings_reader.h"
#include "bindings_tensors.h"
#include "packed_weights.h"

namespace holdfast {

// Null past the end: a state that is not given is an empty tuple.
inline void* address(nanobind::handle tuple, long k) {
    return k < PyTuple_Size(tuple.ptr()) ? PyLong_AsVoidPtr(PyTuple_GetItem(tuple.ptr(), k)) : nullptr;
}

inline long number(nanobind::handle tuple, long k) {
    const long value = PyLong_AsLong(PyTuple_GetItem(tuple.ptr(), k));
    if (value == -1 && PyErr_Occurred()) nanobind::raise_python_error();
    return value;
}

template <class T>
T* pointer(std::uintptr_t value) {
    return reinterpret_cast<T*>(value);
}

// (address, stride of rows, stride of steps)
template <class U>
Steps<U> steps(nanobind::handle tuple) {
    return {static_cast<U*>(address(tuple, 0)), number(tuple, 1), number(tuple, 2)};
}

// A state that the caller did not give. Nothing writes to it.
template <class T>
const T* zeros(long count) {
    static thread_local std::vector<T> values;
    if (long(values.size()) < count) values.resize(count);
    return values.data();
}

template <class T>
struct Parameter {
    const char* name;
    const T* Layer<T>::*value;
    T* Layer<T>::*gradient;
};

template <class T>
constexpr std::array<Parameter<T>, 10> all_parameters{{
    {"weight_ih", &Layer<T>::weight_ih, &Layer<T>::dweight_ih},
    {"weight_hh", &Layer<T>::weight_hh, &Layer<T>::dweight_hh},
    {"bias_ih", &Layer<T>::bias_ih, &Layer<T>::dbias_ih},
    {"bias_hh", &Layer<T>::bias_hh, &Layer<T>::dbias_hh},
    {"weight_hr", &Layer<T>::weight_hr, &Layer<T>::dweight_hr},
    {"weight_peephole", &Layer<T>::peephole, &Layer<T>::dpeephole},
    {"norm_ih", &Layer<T>::norm_ih, &Layer<T>::dnorm_ih},
    {"norm_hh", &Layer<T>::norm_hh, &Layer<T>::dnorm_hh},
    {"norm_c", &Layer<T>::norm_c, &Layer<T>::dnorm_c},
    {"norm_c_bias", &Layer<T>::norm_c_bias, &Layer<T>::dnorm_c_bias},
}};

template <class T>
Parameter<T> parameter_named(const std::string& name) {
    for (const Parameter<T>& parameter : all_parameters<T>)
        if (parameter.name == name) return parameter;
    throw nanobind::key_error(name.c_str());
}

template <class T>
class BoundCell {
  public:
    BoundCell(const nanobind::dict& cell, const std::vector<std::string>& parameters, bool reverse,
              const std::string& isa)
        : kernels_(isa.empty() ? chosen_kernels() : kernels_named(isa)) {
        Reader<T>(cell).cell(cell_);
        cell_.reverse = reverse;
        for (const std::string& name : parameters) parameters_.push_back(parameter_named<T>(name));
    }

    // The number of values that forward keeps for backward, per step of a row.
    long kept() const {
        const Kept size = kept_of(of_sizes(1, 1));
        return size.gates + size.c_before + size.stages;
    }

    void forward(long threads, long B, long steps_, nanobind::tuple x, nanobind::tuple parameters,
                 nanobind::tuple state, nanobind::tuple y, nanobind::tuple final_state, std::uintptr_t kept,
                 PackedWeights<T>* packed, std::uintptr_t lengths) const {
        Layer<T> l = call(threads, B, steps_, x, parameters, state, pointer<T>(kept));
        l.lengths = pointer<const std::int64_t>(lengths);
        l.y = steps<T>(y);
        l.h_n = static_cast<T*>(address(final_state, 0));
        if (l.kind == Kind::lstm) l.c_n = static_cast<T*>(address(final_state, 1));
        nanobind::gil_scoped_release release;
        run(l, packed);
    }

    // One step that reads the weights in place, x [B, I] or [I] and a state of like shape: the new state, and if
    // `keeps` what backward needs. None for a call that is not one, or with tensors that `tensors` cannot read.
    nanobind::object step(const Tensors& tensors, long threads, nanobind::handle x, nanobind::handle state,
                          nanobind::handle parameters, bool keeps) const {
        const Memory input = tensors.read(x);
        if (!input || (input.axes != 1 && input.axes != 2)) return nanobind::none();
        Layer<T> l = of_sizes(input.axes == 2 ? input.shape[0] : 1, 1);
        std::vector<nanobind::object> alive;
        if (input.shape[input.axes - 1] != l.I || !in_place(l) || !set_parameters(l, tensors, parameters, alive))
            return nanobind::none();
        l.threads = threads;
        l.x = {static_cast<const T*>(input.data), input.axes == 2 ? input.strides[0] : 0, 0};
        l.x_value = input.strides[input.axes - 1];
        const long sizes[] = {l.B, l.H};
        const std::span of_state = std::span(sizes).last(input.axes);
        if (!set_state(l, tensors, state, of_state, of_state)) return nanobind::none();
        const bool lstm = l.kind == Kind::lstm;
        nanobind::object h = tensors.empty(x, of_state, l.h_n), c, kept;
        if (lstm) c = tensors.empty(x, of_state, l.c_n);
        l.y = {l.h_n, l.H, 0};
        if (keeps) {
            T* values;
            kept = tensors.empty(x, std::array{l.B * this->kept()}, values);
            keep(l, values);
        }
        {
            nanobind::gil_scoped_release release;
            run(l, nullptr);
        }
        if (keeps) return lstm ? nanobind::make_tuple(h, c, kept) : nanobind::make_tuple(h, kept);
        return lstm ? nanobind::make_tuple(h, c) : nanobind::make_tuple(h);
    }

    void backward(long threads, long B, long steps_, nanobind::tuple x, nanobind::tuple parameters,
                  nanobind::tuple state, nanobind::tuple y, std::uintptr_t kept, nanobind::tuple dy,
                  nanobind::tuple d_final_state, nanobind::tuple dx, nanobind::tuple d_parameters,
                  nanobind::tuple d_state) const {
        Layer<T> l = call(threads, B, steps_, x, parameters, state, pointer<T>(kept));
        l.y = steps<T>(y);
        l.dy = steps<const T>(dy);
        l.dx = steps<T>(dx);
        l.dh_n = static_cast<const T*>(address(d_final_state, 0));
        l.dh0 = static_cast<T*>(address(d_state, 0));
        if (l.kind == Kind::lstm) {
            l.dc_n = static_cast<const T*>(address(d_final_state, 1));
            l.dc0 = static_cast<T*>(address(d_state, 1));
        }
        for (std::size_t k = 0; k < parameters_.size(); k++)
            l.*parameters_[k].gradient = static_cast<T*>(address(d_parameters, long(k)));
        nanobind::gil_scoped_release release;
        run_backward(l);
    }

    // Whether a call reads the weights where they are.
    bool in_place(long B, long steps_) const { return in_place(of_sizes(B, steps_)); }

    Layer<T> of_sizes(long B, long steps_) const {
        Layer<T> l = cell_;
        l.B = B;
        l.T_ = steps_;
        return l;
    }

    // Finds the parameters of a call in a dictionary, and keeps them alive; false if one cannot be read.
    bool set_parameters(Layer<T>& l, const Tensors& tensors, nanobind::handle all,
                        std::vector<nanobind::object>& alive) const {
        if (!PyDict_Check(all.ptr())) return false;
        for (std::size_t k = 0; k < parameters_.size(); k++) {
            alive.push_back(tensors.parameter(all, k));
            void* values = alive.back().is_valid() ? tensors.array(alive.back(), tensors.shape(k)) : nullptr;
            if (!values) return false;
            l.*parameters_[k].value = static_cast<const T*>(values);
        }
        return true;
    }

    // The initial state of a call: parts of these shapes, in a tuple or list, or None for zeros; false for another one.
    static bool set_state(Layer<T>& l, const Tensors& tensors, nanobind::handle state, std::span<const long> h,
                          std::span<const long> c) {
        if (state.is_none()) {
            l.h0 = l.c0 = zeros<T>(l.B * std::max(l.O, l.H));
            return true;
        }
        const long parts = l.kind == Kind::lstm ? 2 : 1;
        if (!(PyTuple_Check(state.ptr()) || PyList_Check(state.ptr())) || PySequence_Size(state.ptr()) != parts)
            return false;
        l.h0 = static_cast<const T*>(tensors.array(nanobind::object(state[0]), h));
        if (parts == 2) l.c0 = static_cast<const T*>(tensors.array(nanobind::object(state[1]), c));
        return l.h0 && (parts == 1 || l.c0);
    }

    // Has forward keep what backward needs.
    void keep(Layer<T>& l, T* kept) const {
        const Kept size = kept_of(l);
        l.gates = kept;
        if (size.c_before) l.c_before = kept + size.gates;
        if (size.stages) l.stages = kept + size.gates + size.c_before;
    }

    // Runs a call without packed weights, or with those that are kept here.
    void run(Layer<T>& l, PackedWeights<T>* packed) const {
        typename PackedWeights<T>::Packed held;
        if (packed && !in_place(l)) {
            held = packed->of(kernels_, l);
            l.packed = static_cast<const T*>(held->data());
        }
        if constexpr (sizeof(T) == 4)
            kernels_.forward_f32(l);
        else
            kernels_.forward_f64(l);
    }

    void run_backward(const Layer<T>& l) const {
        if constexpr (sizeof(T) == 4)
            kernels_.backward_f32(l);
        else
            kernels_.backward_f64(l);
    }

    const std::vector<Parameter<T>>& parameters() const { return parameters_; }

  private:
    bool in_place(const Layer<T>& l) const {
        if constexpr (sizeof(T) == 4)
            return kernels_.in_place_f32(l);
        else
            return kernels_.in_place_f64(l);
    }

    // What forward and backward share.
    Layer<T> call(long threads, long B, long steps_, nanobind::handle x, nanobind::handle parameters,
                  nanobind::handle state, T* kept) const {
        Layer<T> l = of_sizes(B, steps_);
        l.threads = threads;
        l.x = steps<const T>(x);
        l.x_value = number(x, 3);
        for (std::size_t k = 0; k < parameters_.size(); k++)
            l.*parameters_[k].value = static_cast<const T*>(address(parameters, long(k)));
        l.h0 = static_cast<const T*>(address(state, 0));
        if (l.kind == Kind::lstm) l.c0 = static_cast<const T*>(address(state, 1));
        if (!l.h0) l.h0 = l.c0 = zeros<T>(B * std::max(l.O, l.H));
        if (kept) keep(l, kept);
        return l;
    }

    Kept kept_of(const Layer<T>& l) const {
        if constexpr (sizeof(T) == 4)
            return kernels_.kept_f32(l);
        else
            return kernels_.kept_f64(l);
    }

    const Kernels& kernels_;
    Layer<T> cell_{};
    std::vector<Parameter<T>> parameters_;
};

}  // namespace holdfast

void bind_cells(nanobind::module_& m);
