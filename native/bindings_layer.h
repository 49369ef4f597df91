// All cells of a layer as a class of Python: a call checks the layer and its tensors, allocates the results and runs
// every cell, forward or backward. src/holdfast/engines/native_layer.py makes the objects.
//
// Cell k belongs to layer k / directions and runs in direction k % directions. The state of each has the same sizes.
// The directions of a layer write their outputs side by side, W = directions * O values per step.
#pragma once

#include <optional>

#include "bindings_cell.h"
#include "block.h"

namespace holdfast {

// A count of values that leaves the next array at a multiple of 64 bytes.
inline long aligned_count(long values) { return (values + 15) / 16 * 16; }

// The sizes of a call and its input: [T, B, I], [B, T, I] with `batch_first`, or [T, I].
template <class T>
struct LayerInput {
    std::size_t axes;
    long B, T_, value;  // value: the stride of its values
    Steps<const T> steps;

    LayerInput(const Memory& x, bool batch_first)
        : axes(x.axes), B(axes == 2 ? 1 : x.shape[!batch_first]), T_(x.shape[axes == 2 ? 0 : batch_first]),
          value(x.strides[axes - 1]), steps{static_cast<const T*>(x.data), axes == 2 ? 0 : x.strides[!batch_first],
                                            x.strides[axes == 2 ? 0 : batch_first]} {}
};

template <class T>
class LayerGradients;

template <class T>
class BoundLayer {
    using Object = nanobind::object;
    using Handle = nanobind::handle;

    // The calls of all cells. The parameters stay alive while the interpreter's lock is free.
    struct Calls : std::vector<Layer<T>> {
        std::vector<Object> alive;
    };

  public:
    // attributes: the names of those that a call expects to be the same objects as now. cells: tuples of a cell, its
    // Tensors with the names of the parameters in the layer, and its PackedWeights or, for training, None.
    BoundLayer(Handle layer, nanobind::tuple attributes, nanobind::tuple cells, long directions, bool batch_first)
        : type_(nanobind::borrow(reinterpret_cast<PyObject*>(Py_TYPE(layer.ptr())))), directions_(directions),
          batch_first_(batch_first) {
        const Object values = dictionary(layer);
        for (Handle name : attributes)
            attributes_.push_back({nanobind::borrow(name), nanobind::borrow(item(values, name))});
        for (Handle cell : cells)
            cells_.push_back({nanobind::borrow(cell), nanobind::cast<const BoundCell<T>*>(cell[0]),
                              nanobind::cast<const Tensors*>(cell[1]), nanobind::cast<PackedWeights<T>*>(cell[2])});
    }

    // The output and the final state of a call without gradients, which has packed weights. None if the layer is not as
    // it was, or for tensors that the kernels cannot read.
    Object infer(Handle layer, long threads, Handle x, Handle state) const {
        const Handle parameters = cells_[0].packed ? parameters_of(layer) : Handle();
        return parameters ? forward(threads, x, state, parameters, layers(), Handle()) : nanobind::none();
    }

    // The same for a backward pass, without packed weights: also what that needs, and the first layer with gradients.
    Object train(Handle layer, long threads, Handle x, Handle state) const {
        const Handle parameters = cells_[0].packed ? Handle() : parameters_of(layer);
        if (!parameters) return nanobind::none();
        const long first = first_with_gradients(x, state, parameters);
        const Object results = forward(threads, x, state, parameters, first, Handle());
        return results.is_none() || first == layers() ? results : results + nanobind::make_tuple(first);
    }

    // The same with the parameters in a dictionary, for a backward pass that ends at layer `first`. What that needs
    // goes to `kept_before`, or is returned if this is null.
    Object forward(long threads, Handle x, Handle state, Handle parameters, long first, Handle kept_before) const {
        const Tensors& tensors = *cells_[0].tensors;
        const std::optional<LayerInput<T>> input = input_of(x);
        Calls calls;
        if (!input || !begin(calls, *input, threads, state, parameters)) return nanobind::none();
        const bool lstm = calls[0].kind == Kind::lstm, keeps = first < layers();
        T *y, *h, *c = nullptr, *kept = nullptr;
        const Object output = new_output(x, *input, y);
        const Object h_n = tensors.empty(x, state_shape(*input, calls[0].O), h);
        const Object c_n = lstm ? tensors.empty(x, state_shape(*input, calls[0].H), c) : nanobind::none();
        Object kept_now = nanobind::none();
        if (kept_before)
            kept = static_cast<T*>(tensors.read(kept_before).data);
        else if (keeps)
            kept_now = tensors.empty(x, std::array{kept_size(*input, first)}, kept);
        for (std::size_t k = 0; k < calls.size(); k++) {
            calls[k].h_n = h + long(k) * input->B * calls[k].O;
            if (lstm) calls[k].c_n = c + long(k) * input->B * calls[k].H;
        }
        {
            nanobind::gil_scoped_release release;
            run(calls, y, kept, first);
        }
        const Object final_state = lstm ? Object(nanobind::make_tuple(h_n, c_n)) : h_n;
        return keeps ? nanobind::make_tuple(output, final_state, kept_now) : nanobind::make_tuple(output, final_state);
    }

    // The gradients of x, of the parts of the state, and of the parameters from layer `first` on; None for those of x
    // and the state that are not wanted. Overwrites `kept`. received: those of the results, or None. None for tensors
    // that the kernels cannot read.
    Object backward(long threads, Handle x, Handle state, Handle parameters, Handle y, Handle kept, long first,
                    nanobind::tuple received, bool wants_x, bool wants_state) const {
        const Tensors& tensors = *cells_[0].tensors;
        const std::optional<LayerInput<T>> input = input_of(x);
        const Memory y_memory = tensors.read(y), kept_memory = tensors.read(kept);
        Calls calls;
        if (!input || !y_memory || !kept_memory || !begin(calls, *input, threads, state, parameters))
            return nanobind::none();
        Gradients to(*this, x, *input, calls, received, first, wants_x, wants_state);
        T* values = static_cast<T*>(kept_memory.data);
        const long size = inner_size(calls);
        connect(calls, static_cast<T*>(y_memory.data), values + (layers() - 1) * size, first,
                [&](long layer) { return values + layer * size; });
        {
            nanobind::gil_scoped_release release;
            to.run();
        }
        return nanobind::make_tuple(to.dx, nanobind::tuple(to.d_state), nanobind::tuple(to.d_parameters));
    }

  private:
    friend class LayerGradients<T>;
    using Gradients = LayerGradients<T>;

    struct Cell {
        Object owner;
        const BoundCell<T>* cell;
        const Tensors* tensors;
        PackedWeights<T>* packed;
    };

    long layers() const { return long(cells_.size()) / directions_; }
    long width(const Layer<T>& l) const { return directions_ * l.O; }

    static Object dictionary(Handle object) {
        PyObject* values = PyObject_GenericGetDict(object.ptr(), nullptr);
        if (!values) nanobind::raise_python_error();
        return nanobind::steal(values);
    }
    // An item of a dictionary; null if it is not there.
    static Handle item(Handle values, Handle name) {
        PyObject* value = PyDict_GetItemWithError(values.ptr(), name.ptr());
        if (!value && PyErr_Occurred()) nanobind::raise_python_error();
        return value;
    }

    // The parameters of a layer that is as it was; else null.
    Handle parameters_of(Handle layer) const {
        static PyObject* const name = PyUnicode_InternFromString("_parameters");
        const Object values = dictionary(layer);
        if (Py_TYPE(layer.ptr()) != reinterpret_cast<PyTypeObject*>(type_.ptr())) return {};
        for (const auto& [attribute, value] : attributes_)
            if (item(values, attribute).ptr() != value.ptr()) return {};
        return item(values, name);  // the layer keeps it alive
    }
    // The first layer of which a tensor requires gradients; the number of layers if none does.
    long first_with_gradients(Handle x, Handle state, Handle parameters) const {
        static const Attribute requires_grad("requires_grad");
        auto requires_it = [](Handle tensor) { return requires_grad.of(tensor).ptr() == Py_True; };
        if (!cells_[0].tensors->read(x) || requires_it(x)) return 0;
        if (!state.is_none())
            for (Handle part : state)
                if (!cells_[0].tensors->read(part) || requires_it(part)) return 0;
        for (std::size_t k = 0; k < cells_.size(); k++)
            for (std::size_t n = 0; n < cells_[k].tensors->count(); n++)
                if (const Object tensor = cells_[k].tensors->parameter(parameters, n); tensor && requires_it(tensor))
                    return long(k) / directions_;
        return layers();
    }

    std::optional<LayerInput<T>> input_of(Handle x) const {
        const Memory memory = cells_[0].tensors->read(x);
        if (!memory || memory.axes < 2 || memory.shape[memory.axes - 1] != cells_[0].cell->of_sizes(1, 1).I) return {};
        return LayerInput<T>(memory, batch_first_);
    }
    // The shape of a part of the state of all cells.
    struct StateShape {
        std::array<long, 3> sizes;
        std::size_t axes;
        operator std::span<const long>() const { return std::span(sizes).first(axes); }
    };
    StateShape state_shape(const LayerInput<T>& input, long size) const {
        const long cells = long(cells_.size());
        return input.axes == 2 ? StateShape{{cells, size}, 2} : StateShape{{cells, input.B, size}, 3};
    }

    // The calls of all cells with their inputs but those of upper layers; false if a tensor cannot be read.
    bool begin(Calls& calls, const LayerInput<T>& input, long threads, Handle state, Handle parameters) const {
        for (const Cell& cell : cells_) {
            Layer<T>& l = calls.emplace_back(cell.cell->of_sizes(input.B, input.T_));
            l.threads = threads;
            l.x = input.steps;
            l.x_value = input.value;
            if (!cell.cell->set_parameters(l, *cell.tensors, parameters, calls.alive)) return false;
        }
        Layer<T> all = calls[0];
        const StateShape h = state_shape(input, all.O), c = state_shape(input, all.H);
        if (!BoundCell<T>::set_state(all, *cells_[0].tensors, state, h, c)) return false;
        for (std::size_t k = 0; k < calls.size(); k++) {
            const long before = state.is_none() ? 0 : long(k) * input.B;
            calls[k].h0 = all.h0 + before * all.O;
            if (all.kind == Kind::lstm) calls[k].c0 = all.c0 + before * all.H;
        }
        return true;
    }

    // New memory for the output, laid out as the input; time is first in memory.
    Object new_output(Handle x, const LayerInput<T>& input, T*& y) const {
        const Tensors& tensors = *cells_[0].tensors;
        const long B = input.B, T_ = input.T_, W = width(cells_[0].cell->of_sizes(1, 1));
        if (input.axes == 2) return tensors.empty(x, std::array{T_, W}, y);
        if (!batch_first_) return tensors.empty(x, std::array{T_, B, W}, y);
        return tensors.empty_strided(x, std::array{B, T_, W}, std::array{W, B * W, 1L}, y);
    }

    // How many values forward keeps: the outputs of all layers but the last, and what the kernel keeps per cell.
    long kept_size(const LayerInput<T>& input, long first) const {
        const long steps = input.B * input.T_;
        long size = (layers() - 1) * aligned_count(steps * width(cells_[0].cell->of_sizes(1, 1)));
        for (std::size_t k = first * directions_; k < cells_.size(); k++)
            size += aligned_count(steps * cells_[k].cell->kept());
        return size;
    }

    // Sets the inputs, outputs and kept arrays of all calls. `inner`: the outputs of layer n, for all but the last.
    template <class Inner>
    void connect(Calls& calls, T* y, T* kept, long first, Inner inner) const {
        for (long k = 0; k < long(calls.size()); k++) {
            Layer<T>& l = calls[k];
            const long layer = k / directions_, W = width(l), step = l.B * W;
            if (layer) {
                l.x = {inner(layer - 1), W, step};
                l.x_value = 1;
            }
            l.y = {(layer + 1 == layers() ? y : inner(layer)) + k % directions_ * l.O, W, step};
            if (layer < first) continue;
            cells_[k].cell->keep(l, kept);
            kept += aligned_count(cells_[k].cell->kept() * l.B * l.T_);
        }
    }

    void run(Calls& calls, T* y, T* kept, long first) const {
        const bool keeps = first < layers();
        const long size = inner_size(calls), inner = layers() - 1;
        const Block block = keeps || !inner ? Block() : Block(std::min(2L, inner) * size * long(sizeof(T)));
        T* outputs = keeps ? kept : static_cast<T*>(block.data());
        connect(calls, y, kept + inner * size, first,
                [&](long layer) { return outputs + (keeps ? layer : layer % 2) * size; });
        for (std::size_t k = 0; k < calls.size(); k++)
            cells_[k].cell->run(calls[k], keeps ? nullptr : cells_[k].packed);
    }

    // Of the output of an inner layer.
    long inner_size(const Calls& calls) const {
        return aligned_count(calls[0].B * calls[0].T_ * width(calls[0]));
    }

    const Object type_;
    const long directions_;
    const bool batch_first_;
    std::vector<std::pair<Object, Object>> attributes_;
    std::vector<Cell> cells_;
};

}  // namespace holdfast

#include "bindings_layer_gradients.h"
