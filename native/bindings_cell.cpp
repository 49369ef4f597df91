// Defines the classes of cells, of layers of cells, and of what these keep.
#include "bindings_cell.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings_layer.h"
#include "masks.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace holdfast;

namespace {

template <class T>
void bind(nb::module_& m, const char* name, const char* packed, const char* layer) {
    nb::class_<PackedWeights<T>>(m, packed, "The packed weights of one cell; see native/packed_weights.h.")
        .def(nb::init<>())
        .def_prop_ro("packings", &PackedWeights<T>::packings);
    nb::class_<BoundCell<T>>(m, name, "A cell in one direction; see native/bindings_cell.h.")
        .def(nb::init<nb::dict, std::vector<std::string>, bool, std::string>())
        .def("kept", &BoundCell<T>::kept)
        .def("in_place", nb::overload_cast<long, long>(&BoundCell<T>::in_place, nb::const_), "batch"_a, "steps"_a)
        .def("forward", &BoundCell<T>::forward, "threads"_a, "B"_a, "steps"_a, "x"_a, "parameters"_a, "state"_a, "y"_a,
             "final_state"_a, "kept"_a, "packed"_a.none(), "lengths"_a = 0)
        .def("step", &BoundCell<T>::step, "tensors"_a, "threads"_a, "x"_a, "state"_a.none(), "parameters"_a,
             "keeps"_a)
        .def("backward", &BoundCell<T>::backward);
    nb::class_<BoundLayer<T>>(m, layer, "All cells of a layer; see native/bindings_layer.h.")
        .def(nb::init<nb::handle, nb::tuple, nb::tuple, long, bool>(), "layer"_a, "attributes"_a, "cells"_a,
             "directions"_a, "batch_first"_a)
        .def("infer", &BoundLayer<T>::infer, "layer"_a, "threads"_a, "x"_a.none(), "state"_a.none())
        .def("train", &BoundLayer<T>::train, "layer"_a, "threads"_a, "x"_a.none(), "state"_a.none())
        .def("forward", &BoundLayer<T>::forward, "threads"_a, "x"_a, "state"_a.none(), "parameters"_a, "first"_a,
             "kept"_a)
        .def("backward", &BoundLayer<T>::backward, "threads"_a, "x"_a, "state"_a.none(), "parameters"_a, "y"_a,
             "kept"_a, "first"_a, "received"_a, "wants_x"_a, "wants_state"_a);
}

template <class T>
void draw(Sfc64& bits, double probability, long count, std::uintptr_t to) {
    nb::gil_scoped_release release;
    const T yes = std::is_integral_v<T> ? T(1) : T(1) / T(probability);
    draw_mask<T>(bits, probability, yes, count, pointer<T>(to));
}

void bind_masks(nb::module_& m) {
    nb::class_<Sfc64>(m, "MaskGenerator", "Draws random masks; see native/masks.h.")
        .def("__init__", [](Sfc64* self, std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t counter) {
            new (self) Sfc64{a, b, c, counter};
        })
        .def("draw_u8", &draw<std::uint8_t>, "probability"_a, "count"_a, "to"_a)
        .def("draw_f32", &draw<float>, "probability"_a, "count"_a, "to"_a)
        .def("draw_f64", &draw<double>, "probability"_a, "count"_a, "to"_a);
}

}  // namespace

void bind_cells(nb::module_& m) {
    bind_masks(m);
    nb::class_<Tensors>(m, "Tensors", "The tensors that a cell can read; see native/bindings_tensors.h.")
        .def(nb::init<nb::object, nb::object, nb::object, nb::object, nb::tuple, nb::tuple>(), "classes"_a, "dtype"_a,
             "strided"_a, "exchange"_a.none(), "names"_a, "shapes"_a)
        .def("can_read", &Tensors::can_read, "tensors"_a, "shapes"_a);
    bind<float>(m, "Cell_f32", "PackedWeights_f32", "Layer_f32");
    bind<double>(m, "Cell_f64", "PackedWeights_f64", "Layer_f64");
}
