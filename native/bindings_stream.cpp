// Streams as classes of Python. A step takes microseconds, so `advance` takes arrays by the buffer protocol, the
// fastest way.
//
// src/holdfast/runtime/network.py checks that the sizes of a network fit one another; `advance` checks its arrays
// here.
#include "bindings_stream.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>

#include "bindings_reader.h"
#include "stream.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace holdfast;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

template <class T>
const T* array_or_null(const nb::dict& from, const char* name, long* count = nullptr) {
    if (!from.contains(name)) return nullptr;
    const auto array = nb::cast<Array<const T>>(from[name], /*convert=*/false);
    if (count) *count = long(array.size());
    return array.data();  // the dictionary holds the array
}

template <class T>
StreamLayer<T> layer_of(const nb::dict& from) {
    StreamLayer<T> l;
    Reader<T>(from).cell(l.call);
    l.residual = nb::cast<bool>(from["residual"]);
    const std::pair<const char*, const T* Layer<T>::*> parameters[] = {
        {"weight_ih", &Layer<T>::weight_ih}, {"weight_hh", &Layer<T>::weight_hh}, {"bias_ih", &Layer<T>::bias_ih},
        {"bias_hh", &Layer<T>::bias_hh}, {"weight_peephole", &Layer<T>::peephole}, {"weight_hr", &Layer<T>::weight_hr},
        {"norm_ih", &Layer<T>::norm_ih}, {"norm_hh", &Layer<T>::norm_hh}, {"norm_c", &Layer<T>::norm_c},
        {"norm_c_bias", &Layer<T>::norm_c_bias}};
    for (auto& [name, to] : parameters) l.call.*to = array_or_null<T>(from, name);
    return l;
}

template <class T>
Linear<T> linear_of(const Kernels& kernels, Storage storage, const std::optional<nb::dict>& from) {
    if (!from) return {};
    long weights = 0, outputs = 0;
    const T* weight = array_or_null<T>(*from, "weight", &weights);
    const T* bias = array_or_null<T>(*from, "bias", &outputs);
    return {kernels, storage, weights / outputs, outputs, weight, bias};
}

// A C-contiguous array of T, during a call.
template <class T>
class View {
  public:
    View(nb::handle array, bool writable) {
        const int flags = PyBUF_ND | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        held_ = PyObject_GetBuffer(array.ptr(), &view_, flags) == 0;
        if (!held_) PyErr_Clear();
    }
    View(const View&) = delete;
    ~View() {
        if (held_) PyBuffer_Release(&view_);
    }
    T* data() const { return static_cast<T*>(view_.buf); }
    // T of an array of shape [B, T, size]; 1 for [B, size] and, where B is 1, for [size]; -1 for any other array.
    long steps(long B, long size) const {
        if (!held_ || view_.format[0] != (sizeof(T) == 4 ? 'f' : 'd') || view_.format[1]) return -1;
        const int n = view_.ndim;
        if (n < 1 || n > 3 || view_.shape[n - 1] != size || (n == 1 ? 1 : view_.shape[0]) != B) return -1;
        return n == 3 ? long(view_.shape[1]) : 1;
    }

  private:
    Py_buffer view_;
    bool held_;
};

template <class T>
class BoundStream {
  public:
    BoundStream(const nb::list& layers, long B, const std::optional<nb::dict>& input,
                const std::optional<nb::dict>& output, Array<T> state, int storage, const std::string& isa)
        : BoundStream(isa.empty() ? chosen_kernels() : kernels_named(isa), Storage(storage), B, layers, input, output,
                      std::move(state)) {}

    BoundStream(const Kernels& kernels, Storage storage, long B, const nb::list& layers,
                const std::optional<nb::dict>& input, const std::optional<nb::dict>& output, Array<T> state)
        : stream_(kernels, storage, B, layers_of(layers), linear_of<T>(kernels, storage, input),
                  linear_of<T>(kernels, storage, output)),
          state_(std::move(state)) {
        if (long(state_.size()) == stream_.state_size) return;
        const std::string expected = std::to_string(stream_.state_size), actual = std::to_string(state_.size());
        throw nb::value_error(("The state has " + actual + " values; the network needs " + expected + ".").c_str());
    }

    bool advance(nb::handle x, nb::handle y, const std::optional<Array<const std::int64_t>>& rows) {
        const View<T> from(x, false), to(y, true);
        const long count = rows ? long(rows->size()) : stream_.B, steps = from.steps(count, stream_.I);
        if (steps < 0 || to.steps(count, stream_.O) != steps || (rows && !differ(rows->data(), count))) return false;
        auto run = [&] {
            stream_.advance(from.data(), steps, to.data(), state_.data(), rows ? rows->data() : nullptr, count);
        };
        if (stream_.is_large(count * steps)) {
            nb::gil_scoped_release release;
            run();
        } else {
            run();
        }
        return true;
    }

  private:
    // Whether the numbers are those of different rows.
    bool differ(const std::int64_t* rows, long count) {
        taken_.assign(stream_.B, false);
        for (long k = 0; k < count; k++) {
            if (rows[k] < 0 || rows[k] >= stream_.B || taken_[rows[k]]) return false;
            taken_[rows[k]] = true;
        }
        return true;
    }
    static std::vector<StreamLayer<T>> layers_of(const nb::list& layers) {
        std::vector<StreamLayer<T>> result;
        for (nb::handle l : layers) result.push_back(layer_of<T>(nb::cast<nb::dict>(l)));
        return result;
    }

    Stream<T> stream_;
    Array<T> state_;
    std::vector<bool> taken_;  // of `differ`
};

template <class T>
void bind(nb::module_& m, const char* name) {
    nb::class_<BoundStream<T>>(m, name, "Layers that take steps and keep their state; see native/stream.h.")
        .def(nb::init<nb::list, long, std::optional<nb::dict>, std::optional<nb::dict>, Array<T>, int,
                      std::string>(),
             "layers"_a, "batch"_a, "input"_a.none(), "output"_a.none(), "state"_a.noconvert(), "storage"_a = 0,
             "isa"_a = "")
        .def("advance", &BoundStream<T>::advance, "x"_a, "y"_a, "rows"_a = nb::none(),
             "Takes the steps of x, [B, T, I], [B, I] or [I], and writes y of the same form. `rows`: int64, the B rows "
             "that take them; None for all. Returns False, and does nothing, if an array does not fit.");
}

}  // namespace

void bind_streams(nb::module_& m) {
    bind<float>(m, "Stream_f32");
    bind<double>(m, "Stream_f64");
}
