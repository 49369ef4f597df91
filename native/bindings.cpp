// The kernels as functions of Python; the interpreter's lock is free while they run.
//
// A call is a dict of plain values, of addresses of arrays, and of (address, strides ...) for arrays over time:
// torch's DLPack takes 6 microseconds per array, longer than a small layer takes to run.
// src/holdfast/engines/native.py allocates every array, keeps it alive during the call, and checks types, shapes and
// layout.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "bindings_cell.h"
#include "bindings_reader.h"
#include "bindings_stream.h"
#include "dispatch.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace holdfast;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

template <class T>
Layer<T> layer_of(Reader<T>& call) {
    Layer<T> l{};
    call.cell(l);
    l.reverse = call.template whole<"reverse">();
    l.threads = call.template whole<"threads">();
    l.B = call.template whole<"B">();
    l.T_ = call.template whole<"T">();
    l.x_value = call.template steps<"x">(l.x, true);
    call.template array<"lengths">(l.lengths);
    call.template array<"h0">(l.h0);
    call.template array<"c0">(l.c0);
    call.template array<"weight_ih">(l.weight_ih);
    call.template array<"weight_hh">(l.weight_hh);
    call.template array<"bias_ih">(l.bias_ih);
    call.template array<"bias_hh">(l.bias_hh);
    call.template array<"weight_hr">(l.weight_hr);
    call.template array<"weight_peephole">(l.peephole);
    call.template array<"norm_ih">(l.norm_ih);
    call.template array<"norm_hh">(l.norm_hh);
    call.template array<"norm_c">(l.norm_c);
    call.template array<"norm_c_bias">(l.norm_c_bias);
    call.template array<"state_mask">(l.state_mask);
    if (l.state_mask) l.masks = call.template whole<"masks">();
    call.template array<"candidate">(l.candidate);
    call.template array<"zoned_h">(l.zoned_h);
    call.template array<"zoned_c">(l.zoned_c);
    call.template steps<"y">(l.y);
    call.template steps<"c_all">(l.c_all);
    call.template array<"h_n">(l.h_n);
    call.template array<"c_n">(l.c_n);
    call.template steps<"dy">(l.dy);
    call.template steps<"dc_all">(l.dc_all);
    call.template array<"dh_n">(l.dh_n);
    call.template array<"dc_n">(l.dc_n);
    call.template steps<"dx">(l.dx);
    call.template array<"dh0">(l.dh0);
    call.template array<"dc0">(l.dc0);
    call.template array<"dweight_ih">(l.dweight_ih);
    call.template array<"dweight_hh">(l.dweight_hh);
    call.template array<"dbias_ih">(l.dbias_ih);
    call.template array<"dbias_hh">(l.dbias_hh);
    call.template array<"dweight_hr">(l.dweight_hr);
    call.template array<"dweight_peephole">(l.dpeephole);
    call.template array<"dnorm_ih">(l.dnorm_ih);
    call.template array<"dnorm_hh">(l.dnorm_hh);
    call.template array<"dnorm_c">(l.dnorm_c);
    call.template array<"dnorm_c_bias">(l.dnorm_c_bias);
    return l;
}

// Splits the array "kept" into the arrays that forward keeps for backward. Without it, the call is for inference.
template <class T>
void set_kept(Reader<T>& call, Layer<T>& l, const Kept& size) {
    T* next = nullptr;
    call.template array<"kept">(next);
    if (!next) return;
    const std::pair<T**, long> parts[] = {
        {&l.gates, size.gates}, {&l.c_before, size.c_before}, {&l.stages, size.stages}};
    for (auto [part, count] : parts)
        if (count) {
            *part = next;
            next += count;
        }
}

template <class T>
Kept kept_of(const Kernels& kernels, const Layer<T>& layer) {
    if constexpr (sizeof(T) == 4)
        return kernels.kept_f32(layer);
    else
        return kernels.kept_f64(layer);
}

template <class T, void (*Kernels::*entry)(const Layer<T>&), Products products = Products::full>
void run(const nb::dict& call, const std::string& isa) {
    const Kernels& kernels = isa.empty() ? chosen_kernels(products) : kernels_named(isa, products);
    Reader<T> reader(call);
    Layer<T> layer = layer_of(reader);
    set_kept(reader, layer, kept_of(kernels, layer));
    layer.rounded = products == Products::bfloat16;
    nb::gil_scoped_release release;
    (kernels.*entry)(layer);
}

// The number of values of the array "kept".
template <class T>
long kept(const nb::dict& call, const std::string& isa) {
    Reader<T> reader(call);
    const Kept size = kept_of(isa.empty() ? chosen_kernels() : kernels_named(isa), layer_of(reader));
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

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const InstructionSet& set : all_instruction_sets())
        if (set.runs_here()) names.push_back(set.name);
    return names;
}

template <class T>
void bind_activate(nb::module_& m, const char* name) {
    m.def(name, &activate<T>, "activation"_a, "a"_a, "b"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "");
}

// An InstructionSetError becomes an error of Holdfast, which the command line prints in one line.
void translate(const std::exception_ptr& raised, void*) {
    try {
        std::rethrow_exception(raised);
    } catch (const InstructionSetError& error) {
        PyErr_SetString(nb::module_::import_("holdfast.errors").attr("EngineError").ptr(), error.what());
    }
}

}  // namespace

NB_MODULE(_native, m) {
    nb::register_exception_translator(translate);
    nb::set_leak_warnings(false);  // cells are in caches, and torch keeps the modules of its operators to the end
    auto bind = [&](const char* name, auto function) { m.def(name, function, "call"_a, "isa"_a = ""); };
    m.def("instruction_sets", &instruction_sets,
          "The instruction sets with kernels that this processor has, the best first.");
    m.def("chosen", [] { return std::string(chosen_instruction_set().name); }, "The instruction set in use.");
    bind("kept_f32", &kept<float>);
    bind("kept_f64", &kept<double>);
    bind("forward_f32", &run<float, &Kernels::forward_f32>);
    bind("backward_f32", &run<float, &Kernels::backward_f32>);
    bind("forward_f64", &run<double, &Kernels::forward_f64>);
    bind("backward_f64", &run<double, &Kernels::backward_f64>);
    bind("forward_bf16", &run<float, &Kernels::forward_f32, Products::bfloat16>);
    bind("backward_bf16", &run<float, &Kernels::backward_f32, Products::bfloat16>);
    bind_activate<float>(m, "activate_f32");
    bind_activate<double>(m, "activate_f64");
    bind_cells(m);
    bind_streams(m);
}
