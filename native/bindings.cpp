// Python's way in: arrays by DLPack, checked for type and layout, never copied; the interpreter runs on meanwhile.
//
// Shapes are checked on the other side, in src/holdfast/engines/native.py, which allocates every array.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

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
    explicit Reader(const nb::dict& call) : call_(call) {}

    template <class U = T>
    U* array(const char* name) {
        if (!call_.contains(name)) return nullptr;
        return nb::cast<Array<U>>(call_[name], /*convert=*/false).data();
    }
    template <class U>
    U value(const char* name) {
        return nb::cast<U>(call_[name]);
    }

    Layer<T> layer() {
        Layer<T> l{};
        l.kind = Kind(value<int>("kind"));
        l.options.phi = Activation(value<int>("phi"));
        l.options.sigma = Activation(value<int>("sigma"));
        l.options.coupled = value<bool>("coupled");
        l.options.plain = value<bool>("plain");
        l.options.cell_clip = T(value<double>("cell_clip"));
        l.options.zoneout_h = T(value<double>("zoneout_h"));
        l.options.zoneout_c = T(value<double>("zoneout_c"));
        l.H = value<long>("hidden_size");
        l.reverse = value<bool>("reverse");
        l.threads = value<int>("threads");
        auto x = nb::cast<nb::ndarray<const T, nb::ndim<3>, nb::device::cpu>>(call_["x"], false);
        l.B = long(x.shape(0)), l.T_ = long(x.shape(1)), l.I = long(x.shape(2));
        l.x = x.data(), l.x_row = x.stride(0), l.x_step = x.stride(1), l.x_value = x.stride(2);
        l.lengths = array<const std::int64_t>("lengths");
        const std::pair<const char*, const T**> inputs[] = {
            {"h0", &l.h0}, {"c0", &l.c0}, {"weight_ih", &l.weight_ih}, {"weight_hh", &l.weight_hh},
            {"bias_ih", &l.bias_ih}, {"bias_hh", &l.bias_hh}, {"weight_peephole", &l.peephole},
            {"state_mask", &l.state_mask}, {"candidate", &l.candidate},
            {"dy", &l.dy}, {"dh_n", &l.dh_n}, {"dc_n", &l.dc_n}, {"dc_all", &l.dc_all}};
        for (auto& [name, to] : inputs) *to = array<const T>(name);
        l.zoned_h = array<const std::uint8_t>("zoned_h");
        l.zoned_c = array<const std::uint8_t>("zoned_c");
        const std::pair<const char*, T**> outputs[] = {
            {"y", &l.y}, {"h_n", &l.h_n}, {"c_n", &l.c_n}, {"c_all", &l.c_all}, {"gates", &l.gates},
            {"c_before", &l.c_before}, {"dx", &l.dx}, {"dh0", &l.dh0}, {"dc0", &l.dc0},
            {"dweight_ih", &l.dweight_ih}, {"dweight_hh", &l.dweight_hh}, {"dbias_ih", &l.dbias_ih},
            {"dbias_hh", &l.dbias_hh}, {"dweight_peephole", &l.dpeephole}};
        for (auto& [name, to] : outputs) *to = array<T>(name);
        return l;
    }

  private:
    const nb::dict& call_;
};

template <class T>
void run(const nb::dict& call, const std::string& isa, void (*Kernels::*entry)(const Layer<T>&)) {
    const Kernels& kernels = isa.empty() ? chosen_kernels() : kernels_named(isa);
    const Layer<T> layer = Reader<T>(call).layer();
    nb::gil_scoped_release release;
    (kernels.*entry)(layer);
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
        for (const Kernels* k : all_kernels())
            if (k->runs_here()) names.push_back(k->name);
        return names;
    }, "The instruction sets with kernels that this processor has, the best first.");
    m.def("chosen", [] { return std::string(chosen_kernels().name); }, "The instruction set in use.");
    m.def("kept", [](int kind, bool coupled, long B, long T, long H, bool wide, const std::string& isa) {
        const Kept kept = (isa.empty() ? chosen_kernels() : kernels_named(isa)).kept(Kind(kind), coupled, B, T, H, wide);
        return std::make_pair(kept.gates, kept.c_before);
    }, "Values to keep from forward to backward: gates, cell states.");
    m.def("forward_f32", [](const nb::dict& call, const std::string& isa) { run<float>(call, isa, &Kernels::forward_f32); }, "call"_a, "isa"_a = "");
    m.def("backward_f32", [](const nb::dict& call, const std::string& isa) { run<float>(call, isa, &Kernels::backward_f32); }, "call"_a, "isa"_a = "");
    m.def("forward_f64", [](const nb::dict& call, const std::string& isa) { run<double>(call, isa, &Kernels::forward_f64); }, "call"_a, "isa"_a = "");
    m.def("backward_f64", [](const nb::dict& call, const std::string& isa) { run<double>(call, isa, &Kernels::backward_f64); }, "call"_a, "isa"_a = "");
    m.def("activate_f32", &activate<float>, "activation"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "");
    m.def("activate_f64", &activate<double>, "activation"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "");
}
