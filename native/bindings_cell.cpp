// A cell in one direction as a class of Python, for calls that come often and are short. It reads what describes the
// cell once. A call gives only sizes, addresses as numbers (0: null), and (address, strides ...) of arrays over time.
//
// src/holdfast/engines/native_cell.py allocates every array, keeps it alive during the call, and checks types, shapes
// and layout; `step` does this itself.
#include "bindings_cell.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <string>
#include <vector>

#include "bindings_reader.h"
#include "bindings_tensors.h"
#include "packed_weights.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace holdfast;

namespace {

// Null past the end: a state that is not given is an empty tuple.
void* address(nb::handle tuple, long k) {
    return k < PyTuple_Size(tuple.ptr()) ? PyLong_AsVoidPtr(PyTuple_GetItem(tuple.ptr(), k)) : nullptr;
}

long number(nb::handle tuple, long k) {
    const long value = PyLong_AsLong(PyTuple_GetItem(tuple.ptr(), k));
    if (value == -1 && PyErr_Occurred()) nb::raise_python_error();
    return value;
}

template <class T>
T* pointer(std::uintptr_t value) {
    return reinterpret_cast<T*>(value);
}

// (address, stride of rows, stride of steps)
template <class U>
Steps<U> steps(nb::handle tuple) {
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
    throw nb::key_error(name.c_str());
}

template <class T>
class BoundCell {
  public:
    BoundCell(const nb::dict& cell, const std::vector<std::string>& parameters, bool reverse, const std::string& isa)
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

    void forward(long threads, long B, long steps_, nb::tuple x, nb::tuple parameters, nb::tuple state, nb::tuple y,
                 nb::tuple final_state, std::uintptr_t kept, PackedWeights<T>* packed,
                 std::uintptr_t lengths) const {
        Layer<T> l = call(threads, B, steps_, x, parameters, state, pointer<T>(kept));
        l.lengths = pointer<const std::int64_t>(lengths);
        l.y = steps<T>(y);
        l.h_n = static_cast<T*>(address(final_state, 0));
        if (l.kind == Kind::lstm) l.c_n = static_cast<T*>(address(final_state, 1));
        nb::gil_scoped_release release;
        typename PackedWeights<T>::Packed held;
        if (packed && !in_place(l)) {
            held = packed->of(kernels_, l);
            l.packed = static_cast<const T*>(held->data());
        }
        run_forward(l);
    }

    // One step that reads the weights in place, x [B, I] or [I] and a state of like shape: the new state, and if
    // `keeps` what backward needs. None for a call that is not one, or with tensors that `tensors` cannot read.
    nb::object step(const Tensors& tensors, long threads, nb::handle x, nb::handle state, nb::handle parameters,
                    bool keeps) const {
        static const Attribute shape_of("shape"), stride("stride"), new_empty("new_empty");
        const auto* values = static_cast<const T*>(tensors.values(x));
        if (!values || !PyDict_Check(parameters.ptr())) return nb::none();
        const nb::object shape = shape_of.of(x), strides = stride.call(x);
        const long axes = PyTuple_Size(shape.ptr()), parts = cell_.kind == Kind::lstm ? 2 : 1;
        if (axes != 1 && axes != 2) return nb::none();
        Layer<T> l = of_sizes(axes == 2 ? number(shape, 0) : 1, 1);
        if (l.B == 0 || number(shape, axes - 1) != l.I || !in_place(l)) return nb::none();
        l.threads = threads;
        l.x = {values, axes == 2 ? number(strides, 0) : 0, 0};
        l.x_value = number(strides, axes - 1);
        for (std::size_t k = 0; k < parameters_.size(); k++)
            if (!(l.*parameters_[k].value = static_cast<const T*>(tensors.parameter(parameters, k)))) return nb::none();
        const nb::tuple of_state = axes == 2 ? nb::make_tuple(l.B, l.H) : nb::make_tuple(l.H);
        l.h0 = l.c0 = state.is_none() ? zeros<T>(l.B * l.H) : nullptr;
        if (!state.is_none()) {
            if (!(PyTuple_Check(state.ptr()) || PyList_Check(state.ptr())) || PySequence_Size(state.ptr()) != parts)
                return nb::none();
            const T** const to[] = {&l.h0, &l.c0};
            for (long k = 0; k < parts; k++)
                if (!(*to[k] = static_cast<const T*>(tensors.array(nb::object(state[k]), of_state)))) return nb::none();
        }
        nb::object h = new_empty.call(x, of_state), c, kept;
        l.y = {l.h_n = static_cast<T*>(tensors.values(h)), l.H, 0};
        if (parts == 2) l.c_n = static_cast<T*>(tensors.values(c = new_empty.call(x, of_state)));
        if (keeps) {
            kept = new_empty.call(x, nb::int_(l.B * this->kept()));
            keep(l, static_cast<T*>(tensors.values(kept)));
        }
        {
            nb::gil_scoped_release release;
            run_forward(l);
        }
        if (keeps) return parts == 2 ? nb::make_tuple(h, c, kept) : nb::make_tuple(h, kept);
        return parts == 2 ? nb::make_tuple(h, c) : nb::make_tuple(h);
    }

    void backward(long threads, long B, long steps_, nb::tuple x, nb::tuple parameters, nb::tuple state, nb::tuple y,
                  std::uintptr_t kept, nb::tuple dy, nb::tuple d_final_state, nb::tuple dx, nb::tuple d_parameters,
                  nb::tuple d_state) const {
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
        nb::gil_scoped_release release;
        if constexpr (sizeof(T) == 4)
            kernels_.backward_f32(l);
        else
            kernels_.backward_f64(l);
    }

    // Whether a call reads the weights where they are.
    bool in_place(long B, long steps_) const { return in_place(of_sizes(B, steps_)); }

  private:
    void run_forward(const Layer<T>& l) const {
        if constexpr (sizeof(T) == 4)
            kernels_.forward_f32(l);
        else
            kernels_.forward_f64(l);
    }

    bool in_place(const Layer<T>& l) const {
        if constexpr (sizeof(T) == 4)
            return kernels_.in_place_f32(l);
        else
            return kernels_.in_place_f64(l);
    }

    Layer<T> of_sizes(long B, long steps_) const {
        Layer<T> l = cell_;
        l.B = B;
        l.T_ = steps_;
        return l;
    }

    void set_parameters(Layer<T>& l, nb::handle addresses) const {
        for (std::size_t k = 0; k < parameters_.size(); k++)
            l.*parameters_[k].value = static_cast<const T*>(address(addresses, long(k)));
    }

    // What forward and backward share.
    Layer<T> call(long threads, long B, long steps_, nb::handle x, nb::handle parameters, nb::handle state,
                  T* kept) const {
        Layer<T> l = of_sizes(B, steps_);
        l.threads = threads;
        l.x = steps<const T>(x);
        l.x_value = number(x, 3);
        set_parameters(l, parameters);
        l.h0 = static_cast<const T*>(address(state, 0));
        if (l.kind == Kind::lstm) l.c0 = static_cast<const T*>(address(state, 1));
        if (!l.h0) l.h0 = l.c0 = zeros<T>(B * std::max(l.O, l.H));
        if (kept) keep(l, kept);
        return l;
    }

    // Has forward keep what backward needs.
    void keep(Layer<T>& l, T* kept) const {
        const Kept size = kept_of(l);
        l.gates = kept;
        if (size.c_before) l.c_before = kept + size.gates;
        if (size.stages) l.stages = kept + size.gates + size.c_before;
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

template <class T>
void bind(nb::module_& m, const char* name, const char* packed) {
    nb::class_<PackedWeights<T>>(m, packed, "The packed weights of one cell; see native/packed_weights.h.")
        .def(nb::init<>())
        .def_prop_ro("packings", &PackedWeights<T>::packings);
    nb::class_<BoundCell<T>>(m, name, "A cell in one direction; see native/bindings_cell.cpp.")
        .def(nb::init<nb::dict, std::vector<std::string>, bool, std::string>())
        .def("kept", &BoundCell<T>::kept)
        .def("in_place", nb::overload_cast<long, long>(&BoundCell<T>::in_place, nb::const_), "batch"_a, "steps"_a)
        .def("forward", &BoundCell<T>::forward, "threads"_a, "B"_a, "steps"_a, "x"_a, "parameters"_a, "state"_a, "y"_a,
             "final_state"_a, "kept"_a, "packed"_a.none(), "lengths"_a = 0)
        .def("step", &BoundCell<T>::step, "tensors"_a, "threads"_a, "x"_a, "state"_a.none(), "parameters"_a,
             "keeps"_a)
        .def("backward", &BoundCell<T>::backward);
}

}  // namespace

void bind_cells(nb::module_& m) {
    nb::class_<Tensors>(m, "Tensors", "The tensors that a cell can read; see native/bindings_tensors.h.")
        .def(nb::init<nb::object, nb::object, nb::object, nb::tuple, nb::tuple>())
        .def("can_read", &Tensors::can_read, "tensors"_a, "shapes"_a);
    bind<float>(m, "Cell_f32", "PackedWeights_f32");
    bind<double>(m, "Cell_f64", "PackedWeights_f64");
}
