// What a call asks of torch's tensors, through Python's C API: the kernels are not linked with torch, and the same
// questions take longer in Python.
#pragma once

#include <nanobind/nanobind.h>

namespace holdfast {

// A name of an attribute or method of tensors.
class Attribute {
  public:
    explicit Attribute(const char* name) : name_(PyUnicode_InternFromString(name)) {
        if (!name_) nanobind::raise_python_error();
    }
    nanobind::object of(nanobind::handle tensor) const { return checked(PyObject_GetAttr(tensor.ptr(), name_)); }
    nanobind::object call(nanobind::handle tensor) const {
        return checked(PyObject_CallMethodNoArgs(tensor.ptr(), name_));
    }
    nanobind::object call(nanobind::handle tensor, nanobind::handle argument) const {
        return checked(PyObject_CallMethodOneArg(tensor.ptr(), name_, argument.ptr()));
    }

  private:
    static nanobind::object checked(PyObject* value) {
        if (!value) nanobind::raise_python_error();
        return nanobind::steal(value);
    }
    PyObject* const name_;  // never freed, as Python may end before statics do
};

// The tensors that a cell can read: the classes, the dtype, torch.strided, and the names and shapes of its parameters.
class Tensors {
  public:
    Tensors(nanobind::object classes, nanobind::object dtype, nanobind::object strided, nanobind::tuple names,
            nanobind::tuple shapes)
        : classes_(classes), dtype_(dtype), strided_(strided), names_(names), shapes_(shapes) {}

    // The address of the values, with any strides; null where the memory of a tensor does not have its values.
    void* values(nanobind::handle tensor) const {
        static const Attribute dtype("dtype"), is_cpu("is_cpu"), layout("layout"), is_nested("is_nested"),
            is_neg("is_neg"), data_ptr("data_ptr");
        const int plain = PySet_Contains(classes_.ptr(), reinterpret_cast<PyObject*>(Py_TYPE(tensor.ptr())));
        if (plain < 0) nanobind::raise_python_error();
        if (!plain || !dtype.of(tensor).is(dtype_) || is_cpu.of(tensor).ptr() != Py_True ||
            !layout.of(tensor).is(strided_) || is_nested.of(tensor).ptr() == Py_True ||
            is_neg.call(tensor).ptr() == Py_True)
            return nullptr;
        void* address = PyLong_AsVoidPtr(data_ptr.call(tensor).ptr());
        if (!address && PyErr_Occurred()) nanobind::raise_python_error();
        return address;
    }
    // The same for a contiguous tensor of this shape.
    void* array(nanobind::handle tensor, nanobind::handle expected) const {
        static const Attribute shape("shape"), is_contiguous("is_contiguous");
        void* address = values(tensor);
        if (!address) return nullptr;
        const int same = PyObject_RichCompareBool(shape.of(tensor).ptr(), expected.ptr(), Py_EQ);
        if (same < 0) nanobind::raise_python_error();
        return same && is_contiguous.call(tensor).ptr() == Py_True ? address : nullptr;
    }
    // A parameter of a dictionary of them.
    void* parameter(nanobind::handle all, std::size_t k) const {
        PyObject* tensor = PyDict_GetItemWithError(all.ptr(), PyTuple_GET_ITEM(names_.ptr(), long(k)));
        if (!tensor && PyErr_Occurred()) nanobind::raise_python_error();
        return tensor ? array(tensor, PyTuple_GET_ITEM(shapes_.ptr(), long(k))) : nullptr;
    }
    // Whether all of these are arrays of these shapes.
    bool can_read(nanobind::sequence tensors, nanobind::sequence shapes) const {
        for (std::size_t k = 0; k < nanobind::len(tensors); k++)
            if (!array(nanobind::object(tensors[k]), nanobind::object(shapes[k]))) return false;
        return true;
    }

  private:
    nanobind::object classes_, dtype_, strided_;
    nanobind::tuple names_, shapes_;
};

}  // namespace holdfast
