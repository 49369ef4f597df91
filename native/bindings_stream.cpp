// Python's way in to a stream, short: a step takes microseconds, and arrays come by the buffer protocol, which is fastest.
//
// Sizes that must fit each other are checked in src/holdfast/runtime/network.py; what a call reads and writes is checked here.
#include "bindings_stream.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>

#include "stream.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace holdfast;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

template <class T>
const T* find(const nb::dict& from, const char* name, long* count = nullptr) {
    if (!from.contains(name)) return nullptr;
    const auto array = nb::cast<Array<const T>>(from[name], /*convert=*/false);
    if (count) *count = long(array.size());
    return array.data();  // the dictionary holds the array
}

template <class T>
StreamLayer<T> layer(const nb::dict& from) {
    StreamLayer<T> l;
    auto value = [&]<class U>(const char* name, U) { return nb::cast<U>(from[name]); };
    l.call.kind = Kind(value("kind", 0));
    auto function = [&](const char* name) {
        const auto values = nb::cast<nb::tuple>(from[name]);
        return Function<T>{Activation(nb::cast<int>(values[0])), T(nb::cast<double>(values[1])), T(nb::cast<double>(values[2]))};
    };
    l.call.options.phi = function("phi"), l.call.options.sigma = function("sigma"), l.call.options.out = function("out");
    l.call.options.gate_clip = T(value("gate_clip", 0.0));
    l.call.options.coupled = value("coupled", false);
    l.call.options.plain = value("plain", false);
    l.call.options.cell_clip = T(value("cell_clip", 0.0));
    l.call.options.zoneout_h = T(value("zoneout_h", 0.0));
    l.call.options.zoneout_c = T(value("zoneout_c", 0.0));
    l.call.options.norm = value("norm", false);
    l.call.options.reset_before = value("reset_before", false);
    l.call.options.proj_clip = T(value("proj_clip", 0.0));
    l.call.I = value("I", 0L), l.call.H = value("H", 0L), l.call.O = value("O", 0L);
    l.residual = value("residual", false);
    const std::pair<const char*, const T* Layer<T>::*> parameters[] = {
        {"weight_ih", &Layer<T>::weight_ih}, {"weight_hh", &Layer<T>::weight_hh}, {"bias_ih", &Layer<T>::bias_ih},
        {"bias_hh", &Layer<T>::bias_hh}, {"weight_peephole", &Layer<T>::peephole}, {"weight_hr", &Layer<T>::weight_hr},
        {"norm_ih", &Layer<T>::norm_ih}, {"norm_hh", &Layer<T>::norm_hh}, {"norm_c", &Layer<T>::norm_c},
        {"norm_c_bias", &Layer<T>::norm_c_bias}};
    for (auto& [name, to] : parameters) l.call.*to = find<T>(from, name);
    return l;
}

template <class T>
Linear<T> linear(const std::optional<nb::dict>& from) {
    if (!from) return {};
    long weights = 0, outputs = 0;
    const T *weight = find<T>(*from, "weight", &weights), *bias = find<T>(*from, "bias", &outputs);
    return {weights / outputs, outputs, weight, bias};
}

// A C-contiguous array of T, for the time of a call.
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
    // The steps in an array of shape [B, T, size], [B, size] (one) or, when B is 1, [size] (one); -1 for any other.
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
                const std::optional<nb::dict>& output, Array<T> state, const std::string& isa)
        : stream_(isa.empty() ? chosen_kernels() : kernels_named(isa), B, all(layers), linear<T>(input),
                  linear<T>(output)),
          state_(std::move(state)) {
        if (long(state_.size()) != stream_.state_size) throw nb::value_error("The state has another size.");
    }

    bool advance(nb::handle x, nb::handle y) {
        const View<T> from(x, false), to(y, true);
        const long steps = from.steps(stream_.B, stream_.I);
        if (steps < 0 || to.steps(stream_.B, stream_.O) != steps) return false;
        if (stream_.is_large(steps)) {
            nb::gil_scoped_release release;
            stream_.advance(from.data(), steps, to.data(), state_.data());
        } else {
            stream_.advance(from.data(), steps, to.data(), state_.data());
        }
        return true;
    }

  private:
    static std::vector<StreamLayer<T>> all(const nb::list& layers) {
        std::vector<StreamLayer<T>> found;
        for (nb::handle l : layers) found.push_back(layer<T>(nb::cast<nb::dict>(l)));
        return found;
    }

    Stream<T> stream_;
    Array<T> state_;
};

template <class T>
void bind(nb::module_& m, const char* name) {
    nb::class_<BoundStream<T>>(m, name, "Layers that take steps and keep their state; native/stream.h says all.")
        .def(nb::init<nb::list, long, std::optional<nb::dict>, std::optional<nb::dict>, Array<T>, std::string>(),
             "layers"_a, "batch"_a, "input"_a.none(), "output"_a.none(), "state"_a.noconvert(), "isa"_a = "")
        .def("advance", &BoundStream<T>::advance, "x"_a, "y"_a,
             "Steps through x, [B, T, I], [B, I] or [I], into y, shaped alike; False, and nothing done, if they do not fit.");
}

}  // namespace

void bind_streams(nb::module_& m) {
    bind<float>(m, "Stream_f32");
    bind<double>(m, "Stream_f64");
}
