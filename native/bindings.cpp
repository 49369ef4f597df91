// Python's way in; the interpreter runs on meanwhile.
//
// A call is a dict of plain values, of addresses of arrays, and of (address, strides ...) for arrays over time. torch's
// DLPack takes 6 microseconds an array, longer than a small layer takes to run; so src/holdfast/engines/native.py, which
// allocates every array and keeps it alive, checks types, shapes and layout, and gives addresses.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <utility>

#include "bindings_stream.h"
#include "dispatch.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace holdfast;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// A name as a template's argument.
template <std::size_t size>
struct Name {
    char text[size];
    constexpr Name(const char (&from)[size]) { std::copy_n(from, size, text); }
};

// Reads the arguments of a call, by name, into the struct that a kernel takes.
template <class T>
class Reader {
  public:
    explicit Reader(const nb::dict& call) : call_(call.ptr()) {}

    Layer<T> layer() {
        Layer<T> l{};
        l.kind = Kind(whole<"kind">());
        l.options.plain = whole<"plain">();
        if (!l.options.plain) {
            l.options.phi = function<"phi">(), l.options.sigma = function<"sigma">(), l.options.out = function<"out">();
            l.options.gate_clip = real<"gate_clip">();
        }
        l.options.coupled = whole<"coupled">();
        l.options.cell_clip = real<"cell_clip">();
        l.options.zoneout_h = real<"zoneout_h">();
        l.options.zoneout_c = real<"zoneout_c">();
        l.options.norm = whole<"norm">();
        l.options.reset_before = whole<"reset_before">();
        l.options.proj_clip = real<"proj_clip">();
        l.reverse = whole<"reverse">();
        l.threads = whole<"threads">();
        l.B = whole<"B">(), l.T_ = whole<"T">(), l.I = whole<"I">(), l.H = whole<"H">(), l.O = whole<"O">();
        l.x_value = steps<"x">(l.x, 1);
        steps<"y">(l.y), steps<"c_all">(l.c_all), steps<"dy">(l.dy), steps<"dc_all">(l.dc_all), steps<"dx">(l.dx);
        array<"lengths">(l.lengths), array<"zoned_h">(l.zoned_h), array<"zoned_c">(l.zoned_c);
        array<"h0">(l.h0), array<"c0">(l.c0), array<"weight_ih">(l.weight_ih), array<"weight_hh">(l.weight_hh);
        array<"bias_ih">(l.bias_ih), array<"bias_hh">(l.bias_hh), array<"weight_hr">(l.weight_hr);
        array<"weight_peephole">(l.peephole), array<"norm_ih">(l.norm_ih), array<"norm_hh">(l.norm_hh);
        array<"norm_c">(l.norm_c), array<"norm_c_bias">(l.norm_c_bias);
        array<"state_mask">(l.state_mask), array<"candidate">(l.candidate);
        if (l.state_mask) l.masks = whole<"masks">();
        array<"h_n">(l.h_n), array<"c_n">(l.c_n), array<"dh_n">(l.dh_n), array<"dc_n">(l.dc_n);
        array<"dh0">(l.dh0), array<"dc0">(l.dc0), array<"dweight_ih">(l.dweight_ih), array<"dweight_hh">(l.dweight_hh);
        array<"dbias_ih">(l.dbias_ih), array<"dbias_hh">(l.dbias_hh), array<"dweight_hr">(l.dweight_hr);
        array<"dweight_peephole">(l.dpeephole), array<"dnorm_ih">(l.dnorm_ih), array<"dnorm_hh">(l.dnorm_hh);
        array<"dnorm_c">(l.dnorm_c), array<"dnorm_c_bias">(l.dnorm_c_bias);
        return l;
    }

    // One array for all that is kept from forward to backward; without it, the call is for inference.
    void kept(Layer<T>& l, const Kept& size) {
        T* next = nullptr;
        array<"kept">(next);
        if (!next) return;
        const std::pair<T**, long> parts[] = {{&l.gates, size.gates}, {&l.c_before, size.c_before}, {&l.stages, size.stages}};
        for (auto [part, values] : parts)
            if (values) *part = next, next += values;
    }

  private:
    template <Name name>
    PyObject* find() {
        static PyObject* const key = PyUnicode_InternFromString(name.text);  // made once: it takes longer than the look-up
        return PyDict_GetItem(call_, key);
    }
    template <Name name>
    PyObject* needed() {
        PyObject* value = find<name>();
        if (!value) throw nb::key_error(name.text);
        return value;
    }
    static long checked(long value) {
        if (value == -1 && PyErr_Occurred()) nb::raise_python_error();
        return value;
    }
    template <Name name>
    long whole() {
        return checked(PyLong_AsLong(needed<name>()));
    }
    template <Name name>
    T real() {
        return T(nb::cast<double>(nb::handle(needed<name>())));
    }
    // (number, first parameter, second)
    template <Name name>
    Function<T> function() {
        PyObject* value = needed<name>();
        auto item = [&](int k) { return nb::handle(PyTuple_GetItem(value, k)); };
        return {Activation(nb::cast<int>(item(0))), T(nb::cast<double>(item(1))), T(nb::cast<double>(item(2)))};
    }
    template <Name name, class U>
    void array(U*& to) {
        if (PyObject* value = find<name>()) to = static_cast<U*>(PyLong_AsVoidPtr(value));
    }
    // (address, stride of rows, stride of steps) and, where `strides` is 1, the stride of values, which is returned.
    template <Name name, class U>
    long steps(Steps<U>& to, int strides = 0) {
        PyObject* value = find<name>();
        if (!value) return 0;
        auto item = [&](int k) { return PyTuple_GetItem(value, k); };
        to.data = static_cast<U*>(PyLong_AsVoidPtr(item(0)));
        to.row = checked(PyLong_AsLong(item(1))), to.step = checked(PyLong_AsLong(item(2)));
        return strides ? checked(PyLong_AsLong(item(3))) : 0;
    }

    PyObject* call_;
};

template <class T>
Kept kept_of(const Kernels& kernels, const Layer<T>& layer) {
    if constexpr (sizeof(T) == 4)
        return kernels.kept_f32(layer);
    else
        return kernels.kept_f64(layer);
}

template <class T>
void run(const nb::dict& call, const std::string& isa, void (*Kernels::*entry)(const Layer<T>&),
         Products products = Products::full) {
    const Kernels& kernels = isa.empty() ? chosen_kernels(products) : kernels_named(isa, products);
    Reader<T> reader(call);
    Layer<T> layer = reader.layer();
    reader.kept(layer, kept_of(kernels, layer));
    layer.rounded = products == Products::bfloat16;
    nb::gil_scoped_release release;
    (kernels.*entry)(layer);
}

// Values of the array "kept".
template <class T>
long kept(const nb::dict& call, const std::string& isa) {
    const Kept size = kept_of(isa.empty() ? chosen_kernels() : kernels_named(isa), Reader<T>(call).layer());
    return size.gates + size.c_before + size.stages;
}

template <class T>
void activate(int activation, double a, double b, Array<const T> x, Array<T> y, const std::string& isa) {
    const Kernels& k = isa.empty() ? chosen_kernels() : kernels_named(isa);
    const Function<T> f{Activation(activation), T(a), T(b)};
    if constexpr (sizeof(T) == 4)
        k.activate_f32(f, x.data(), y.data(), long(x.size()));
    else
        k.activate_f64(f, x.data(), y.data(), long(x.size()));
}

}  // namespace

NB_MODULE(_native, m) {
    m.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const InstructionSet& set : all_instruction_sets())
            if (set.runs_here()) names.push_back(set.name);
        return names;
    }, "The instruction sets with kernels that this processor has, the best first.");
    m.def("chosen", [] { return std::string(chosen_instruction_set().name); }, "The instruction set in use.");
    m.def("kept_f32", &kept<float>, "call"_a, "isa"_a = "");
    m.def("kept_f64", &kept<double>, "call"_a, "isa"_a = "");
    m.def("forward_f32", [](const nb::dict& call, const std::string& isa) { run<float>(call, isa, &Kernels::forward_f32); }, "call"_a, "isa"_a = "");
    m.def("backward_f32", [](const nb::dict& call, const std::string& isa) { run<float>(call, isa, &Kernels::backward_f32); }, "call"_a, "isa"_a = "");
    m.def("forward_f64", [](const nb::dict& call, const std::string& isa) { run<double>(call, isa, &Kernels::forward_f64); }, "call"_a, "isa"_a = "");
    m.def("backward_f64", [](const nb::dict& call, const std::string& isa) { run<double>(call, isa, &Kernels::backward_f64); }, "call"_a, "isa"_a = "");
    m.def("forward_bf16", [](const nb::dict& call, const std::string& isa) { run<float>(call, isa, &Kernels::forward_f32, Products::bfloat16); }, "call"_a, "isa"_a = "");
    m.def("backward_bf16", [](const nb::dict& call, const std::string& isa) { run<float>(call, isa, &Kernels::backward_f32, Products::bfloat16); }, "call"_a, "isa"_a = "");
    m.def("fma_peak", [](int threads, double seconds, const std::string& isa) {
        const Kernels& kernels = isa.empty() ? chosen_kernels() : kernels_named(isa);
        nb::gil_scoped_release release;
        return fma_peak(kernels, threads, seconds);
    }, "threads"_a, "seconds"_a, "isa"_a = "", "GFLOP/s of multiply-adds in float32, all threads together.");
    m.def("activate_f32", &activate<float>, "activation"_a, "a"_a, "b"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "");
    m.def("activate_f64", &activate<double>, "activation"_a, "a"_a, "b"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "");
    bind_streams(m);
}
