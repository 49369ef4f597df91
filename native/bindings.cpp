// Python's way in; the interpreter runs on meanwhile.
//
// A call is a dict of plain values, of addresses of arrays, and of (address, strides ...) for arrays over time. torch's
// DLPack takes 6 microseconds an array, longer than a small layer takes to run; so src/holdfast/engines/native.py, which
// allocates every array and keeps it alive, checks types, shapes and layout, and gives addresses.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bindings_stream.h"
#include "dispatch.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace holdfast;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// Reads the arguments of a call, by name, into the struct that a kernel takes.
template <class T>
class Reader {
  public:
    explicit Reader(const nb::dict& call) : call_(call.ptr()) {}

    Layer<T> layer() {
        Layer<T> l{};
        l.kind = Kind(whole("kind"));
        l.options.phi = Activation(whole("phi"));
        l.options.sigma = Activation(whole("sigma"));
        l.options.coupled = whole("coupled");
        l.options.plain = whole("plain");
        l.options.cell_clip = real("cell_clip");
        l.options.zoneout_h = real("zoneout_h");
        l.options.zoneout_c = real("zoneout_c");
        l.options.norm = whole("norm");
        l.options.reset_before = whole("reset_before");
        l.options.proj_clip = real("proj_clip");
        l.reverse = whole("reverse");
        l.threads = whole("threads");
        l.B = whole("B"), l.T_ = whole("T"), l.I = whole("I"), l.H = whole("H"), l.O = whole("O");
        l.x_value = steps("x", l.x, 1);
        steps("y", l.y), steps("c_all", l.c_all), steps("dy", l.dy), steps("dc_all", l.dc_all), steps("dx", l.dx);
        l.lengths = array<const std::int64_t>("lengths");
        l.zoned_h = array<const std::uint8_t>("zoned_h");
        l.zoned_c = array<const std::uint8_t>("zoned_c");
        const std::pair<const char*, const T**> inputs[] = {
            {"h0", &l.h0}, {"c0", &l.c0}, {"weight_ih", &l.weight_ih}, {"weight_hh", &l.weight_hh},
            {"bias_ih", &l.bias_ih}, {"bias_hh", &l.bias_hh}, {"weight_hr", &l.weight_hr},
            {"weight_peephole", &l.peephole}, {"norm_ih", &l.norm_ih}, {"norm_hh", &l.norm_hh},
            {"norm_c", &l.norm_c}, {"norm_c_bias", &l.norm_c_bias},
            {"state_mask", &l.state_mask}, {"candidate", &l.candidate}, {"dh_n", &l.dh_n}, {"dc_n", &l.dc_n}};
        for (auto& [name, to] : inputs) *to = array<const T>(name);
        const std::pair<const char*, T**> outputs[] = {
            {"h_n", &l.h_n}, {"c_n", &l.c_n}, {"gates", &l.gates}, {"c_before", &l.c_before},
            {"stages", &l.stages}, {"dh0", &l.dh0},
            {"dc0", &l.dc0}, {"dweight_ih", &l.dweight_ih}, {"dweight_hh", &l.dweight_hh}, {"dbias_ih", &l.dbias_ih},
            {"dbias_hh", &l.dbias_hh}, {"dweight_hr", &l.dweight_hr}, {"dweight_peephole", &l.dpeephole},
            {"dnorm_ih", &l.dnorm_ih}, {"dnorm_hh", &l.dnorm_hh}, {"dnorm_c", &l.dnorm_c},
            {"dnorm_c_bias", &l.dnorm_c_bias}};
        for (auto& [name, to] : outputs) *to = array<T>(name);
        return l;
    }

  private:
    PyObject* find(const char* name) { return PyDict_GetItemString(call_, name); }
    static long checked(long value) {
        if (value == -1 && PyErr_Occurred()) nb::raise_python_error();
        return value;
    }
    long whole(const char* name) {
        PyObject* value = find(name);
        if (!value) throw nb::key_error(name);
        return checked(PyLong_AsLong(value));
    }
    T real(const char* name) {
        PyObject* value = find(name);
        if (!value) throw nb::key_error(name);
        return T(nb::cast<double>(nb::handle(value)));
    }
    template <class U>
    U* array(const char* name) {
        PyObject* value = find(name);
        return value ? static_cast<U*>(PyLong_AsVoidPtr(value)) : nullptr;
    }
    // (address, stride of rows, stride of steps) and, where `strides` is 1, the stride of values, which is returned.
    template <class U>
    long steps(const char* name, Steps<U>& to, int strides = 0) {
        PyObject* value = find(name);
        if (!value) return 0;
        auto item = [&](int k) { return PyTuple_GetItem(value, k); };
        to.data = static_cast<U*>(PyLong_AsVoidPtr(item(0)));
        to.row = checked(PyLong_AsLong(item(1))), to.step = checked(PyLong_AsLong(item(2)));
        return strides ? checked(PyLong_AsLong(item(3))) : 0;
    }

    PyObject* call_;
};

template <class T>
void run(const nb::dict& call, const std::string& isa, void (*Kernels::*entry)(const Layer<T>&),
         Products products = Products::full) {
    const Kernels& kernels = isa.empty() ? chosen_kernels(products) : kernels_named(isa, products);
    Layer<T> layer = Reader<T>(call).layer();
    layer.rounded = products == Products::bfloat16;
    nb::gil_scoped_release release;
    (kernels.*entry)(layer);
}

// Values to keep from forward to backward: gates, cell states, stages.
template <class T>
std::tuple<long, long, long> kept(const nb::dict& call, const std::string& isa, Kept (*Kernels::*of)(const Layer<T>&)) {
    const Kernels& kernels = isa.empty() ? chosen_kernels() : kernels_named(isa);
    const Kept kept = (kernels.*of)(Reader<T>(call).layer());
    return {kept.gates, kept.c_before, kept.stages};
}

template <class T>
void activate(int activation, Array<const T> x, Array<T> y, const std::string& isa) {
    const Kernels& k = isa.empty() ? chosen_kernels() : kernels_named(isa);
    if constexpr (sizeof(T) == 4)
        k.activate_f32(Activation(activation), x.data(), y.data(), long(x.size()));
    else
        k.activate_f64(Activation(activation), x.data(), y.data(), long(x.size()));
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
    m.def("kept_f32", [](const nb::dict& call, const std::string& isa) { return kept<float>(call, isa, &Kernels::kept_f32); }, "call"_a, "isa"_a = "");
    m.def("kept_f64", [](const nb::dict& call, const std::string& isa) { return kept<double>(call, isa, &Kernels::kept_f64); }, "call"_a, "isa"_a = "");
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
    m.def("activate_f32", &activate<float>, "activation"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "");
    m.def("activate_f64", &activate<double>, "activation"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "");
    bind_streams(m);
}
