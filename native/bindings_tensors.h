// What a call asks of torch's tensors: the kernels are not linked with torch. From torch 2.10 on, DLPack's table of C
// functions answers in some nanoseconds; before, the attributes of Python's objects do.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace holdfast {

// A name of an attribute or method of tensors.
class Attribute {
  public:
    explicit Attribute(const char* name) : name_(PyUnicode_InternFromString(name)) {
        if (!name_) nanobind::raise_python_error();
    }
    nanobind::object of(nanobind::handle tensor) const { return checked(PyObject_GetAttr(tensor.ptr(), name_)); }
    nanobind::object call(nanobind::handle tensor) const {
        PyObject* const self = tensor.ptr();
        return checked(PyObject_VectorcallMethod(name_, &self, 1, nullptr));
    }
    nanobind::object call(nanobind::handle tensor, nanobind::object first, nanobind::object second) const {
        return checked(PyObject_CallMethodObjArgs(tensor.ptr(), name_, first.ptr(), second.ptr(), nullptr));
    }
    // Calls the method with whole numbers, each as an argument of its own: torch reads these faster than a tuple.
    nanobind::object call(nanobind::handle tensor, std::span<const long> numbers) const {
        nanobind::object owned[limit];
        PyObject* arguments[limit + 1] = {tensor.ptr()};
        for (std::size_t k = 0; k < numbers.size(); k++)
            arguments[k + 1] = (owned[k] = checked(PyLong_FromLong(numbers[k]))).ptr();
        return checked(PyObject_VectorcallMethod(name_, arguments, numbers.size() + 1, nullptr));
    }

    static constexpr std::size_t limit = 4;

  private:
    static nanobind::object checked(PyObject* value) {
        if (!value) nanobind::raise_python_error();
        return nanobind::steal(value);
    }
    PyObject* const name_;  // never freed, as Python may end before statics do
};

// The memory of a tensor with at most three axes. Null: it is not one that can be read.
struct Memory {
    void* data = nullptr;
    std::size_t axes = 0;
    std::array<long, 3> shape{}, strides{};

    explicit operator bool() const { return data; }
    bool has_shape(std::span<const long> expected) const {
        return std::equal(expected.begin(), expected.end(), shape.begin(), shape.begin() + axes);
    }
    bool is_contiguous() const {
        long expected = 1;
        for (std::size_t k = axes; k-- > 0; expected *= shape[k])
            if (shape[k] != 1 && strides[k] != expected) return false;
        return true;
    }
};

// The C functions by which a library lets others read its arrays; version 1 of
// https://dmlc.github.io/dlpack/latest/c_api.html
struct ExchangeTable {
    std::uint32_t major, minor;
    void* older;
    void *allocate, *from_object, *to_object;
    int (*describe)(void* object, nanobind::dlpack::dltensor* out);  // -1 with a Python error if it cannot
    void* stream;

    // From the capsule that is an attribute of a class; null for None and for another version.
    static const ExchangeTable* of(nanobind::handle capsule) {
        if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
        const auto* table =
            static_cast<const ExchangeTable*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
        return table && table->major == 1 && table->describe ? table : nullptr;
    }
};

// The tensors that a cell can read: the classes, the dtype, torch.strided, the capsule of ExchangeTable or None, and
// the names and shapes of its parameters.
class Tensors {
  public:
    Tensors(nanobind::object classes, nanobind::object dtype, nanobind::object strided, nanobind::object exchange,
            nanobind::tuple names, nanobind::tuple shapes)
        : classes_(classes), dtype_(dtype), strided_(strided), exchange_(ExchangeTable::of(exchange)),
          bits_(8 * nanobind::cast<int>(dtype.attr("itemsize"))), names_(names) {
        for (nanobind::handle shape : shapes) shapes_.push_back(numbers(shape));
    }

    // The memory of a tensor, with any strides; null where its memory does not have its values.
    Memory read(nanobind::handle tensor) const {
        static const Attribute is_neg("is_neg");
        const int plain = PySet_Contains(classes_.ptr(), reinterpret_cast<PyObject*>(Py_TYPE(tensor.ptr())));
        if (plain < 0) nanobind::raise_python_error();
        const Memory memory = plain ? read_new(tensor) : Memory{};
        return memory && is_neg.call(tensor).ptr() == Py_True ? Memory{} : memory;
    }
    // The values of a contiguous tensor of this shape.
    void* array(nanobind::handle tensor, std::span<const long> shape) const {
        const Memory memory = read(tensor);
        return memory && memory.has_shape(shape) && memory.is_contiguous() ? memory.data : nullptr;
    }
    // A parameter of a dictionary of them; null if it is not there.
    nanobind::object parameter(nanobind::handle all, std::size_t k) const {
        PyObject* tensor = PyDict_GetItemWithError(all.ptr(), PyTuple_GetItem(names_.ptr(), long(k)));
        if (!tensor && PyErr_Occurred()) nanobind::raise_python_error();
        return nanobind::borrow(tensor);
    }
    std::span<const long> shape(std::size_t k) const { return shapes_[k]; }
    std::size_t count() const { return shapes_.size(); }
    // Whether all of these are arrays of these shapes.
    bool can_read(nanobind::sequence tensors, nanobind::sequence shapes) const {
        for (std::size_t k = 0; k < nanobind::len(tensors); k++)
            if (!array(nanobind::object(tensors[k]), numbers(nanobind::object(shapes[k])))) return false;
        return true;
    }
    // A new tensor of this shape, like another one, and its memory.
    template <class T>
    nanobind::object empty(nanobind::handle like, std::span<const long> shape, T*& data) const {
        static const Attribute new_empty("new_empty");
        nanobind::object tensor = new_empty.call(like, shape);
        data = static_cast<T*>(read_new(tensor).data);
        return tensor;
    }

    // The same with these strides.
    template <class T>
    nanobind::object empty_strided(nanobind::handle like, std::span<const long> shape, std::span<const long> strides,
                                   T*& data) const {
        static const Attribute new_empty("new_empty_strided");
        nanobind::object tensor = new_empty.call(like, tuple_of(shape), tuple_of(strides));
        data = static_cast<T*>(read_new(tensor).data);
        return tensor;
    }

  private:
    // As `read`, of a tensor of torch's own classes that is no view.
    Memory read_new(nanobind::handle tensor) const { return exchange_ ? described(tensor) : asked(tensor); }
    Memory described(nanobind::handle tensor) const {
        nanobind::dlpack::dltensor t;
        if (exchange_->describe(tensor.ptr(), &t)) {
            PyErr_Clear();  // sparse, nested, on a device without memory: not a tensor to read
            return {};
        }
        const auto& type = t.dtype;
        if (type.code != std::uint8_t(nanobind::dlpack::dtype_code::Float) || type.bits != bits_ || type.lanes != 1 ||
            t.device.device_type != nanobind::device::cpu::value || t.ndim < 0 || t.ndim > 3)
            return {};
        Memory memory{static_cast<char*>(t.data) + t.byte_offset, std::size_t(t.ndim)};
        std::copy_n(t.shape, t.ndim, memory.shape.begin());
        std::copy_n(t.strides, t.ndim, memory.strides.begin());
        return memory;
    }
    Memory asked(nanobind::handle tensor) const {
        static const Attribute dtype("dtype"), is_cpu("is_cpu"), layout("layout"), is_nested("is_nested"),
            data_ptr("data_ptr"), shape("shape"), stride("stride");
        if (!dtype.of(tensor).is(dtype_) || is_cpu.of(tensor).ptr() != Py_True || !layout.of(tensor).is(strided_) ||
            is_nested.of(tensor).ptr() == Py_True)
            return {};
        const std::vector<long> sizes = numbers(shape.of(tensor)), strides = numbers(stride.call(tensor));
        if (sizes.size() > 3) return {};
        Memory memory{PyLong_AsVoidPtr(data_ptr.call(tensor).ptr()), sizes.size()};
        if (!memory && PyErr_Occurred()) nanobind::raise_python_error();
        std::copy(sizes.begin(), sizes.end(), memory.shape.begin());
        std::copy(strides.begin(), strides.end(), memory.strides.begin());
        return memory;
    }
    static nanobind::object tuple_of(std::span<const long> numbers) {
        const nanobind::object all = nanobind::steal(PyTuple_New(long(numbers.size())));
        for (std::size_t k = 0; k < numbers.size(); k++)
            PyTuple_SetItem(all.ptr(), long(k), nanobind::int_(numbers[k]).release().ptr());
        return all;
    }
    static std::vector<long> numbers(nanobind::handle sequence) {
        std::vector<long> all;
        for (nanobind::handle number : sequence) all.push_back(nanobind::cast<long>(number));
        return all;
    }

    nanobind::object classes_, dtype_, strided_;
    const ExchangeTable* exchange_;
    int bits_;
    nanobind::tuple names_;
    std::vector<std::vector<long>> shapes_;
};

}  // namespace holdfast
