// What a call asks of torch's tensors, through Python's C API: the kernels are not linked with torch, and the same
// questions in Python take three times as long.
#pragma once

#include <nanobind/nanobind.h>

namespace holdfast {

// A name of an attribute of tensors.
class Attribute {
  public:
    explicit Attribute(const char* name) : name_(PyUnicode_InternFromString(name)) {
        if (!name_) nanobind::raise_python_error();
    }
    nanobind::object of(nanobind::handle tensor) const { return checked(PyObject_GetAttr(tensor.ptr(), name_)); }
    nanobind::object result(nanobind::handle tensor) const {  // of the method
        return checked(PyObject_CallMethodNoArgs(tensor.ptr(), name_));
    }

  private:
    static nanobind::object checked(PyObject* value) {
        if (!value) nanobind::raise_python_error();
        return nanobind::steal(value);
    }
    PyObject* const name_;  // never freed, as Python may end before statics do
};

// Whether the memory of each tensor has its values, contiguous, of this dtype and of its shape. `strided`:
// torch.strided. The same as can_read in src/holdfast/engines/native_cell.py, for several tensors.
inline bool can_read(nanobind::sequence tensors, nanobind::sequence shapes, nanobind::handle dtype,
                     nanobind::handle strided) {
    static const Attribute dtype_of("dtype"), is_cpu("is_cpu"), layout("layout"), is_nested("is_nested"),
        is_neg("is_neg"), data_ptr("data_ptr"), shape_of("shape"), is_contiguous("is_contiguous");
    for (std::size_t k = 0; k < nanobind::len(tensors); k++) {
        const nanobind::object tensor = tensors[k];
        if (!dtype_of.of(tensor).is(dtype) || !is_cpu.of(tensor).is(nanobind::handle(Py_True)) ||
            !layout.of(tensor).is(strided) || is_nested.of(tensor).is(nanobind::handle(Py_True)) ||
            is_neg.result(tensor).is(nanobind::handle(Py_True)))
            return false;
        const int same = PyObject_RichCompareBool(shape_of.of(tensor).ptr(), nanobind::object(shapes[k]).ptr(), Py_EQ);
        if (same < 0) nanobind::raise_python_error();
        if (!same || !is_contiguous.result(tensor).is(nanobind::handle(Py_True))) return false;
        const long address = PyLong_AsLong(data_ptr.result(tensor).ptr());
        if (address == -1 && PyErr_Occurred()) nanobind::raise_python_error();
        if (!address) return false;
    }
    return true;
}

}  // namespace holdfast
