// Reads the values of a Python dict by name into the structs of layer.h. It does not copy, and checks only types: the
// Python code that builds the dict checks the rest.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>

#include "layer.h"

namespace holdfast {

// A name as a template's argument.
template <std::size_t size>
struct Name {
    char text[size];
    constexpr Name(const char (&from)[size]) { std::copy_n(from, size, text); }
};

template <class T>
class Reader {
  public:
    explicit Reader(const nanobind::dict& values) : values_(values.ptr()) {}

    // The cell: its kind, sizes and options, as src/holdfast/runtime/kernels.py writes them, and whether they are
    // plain.
    void cell(Layer<T>& l) {
        l.kind = Kind(whole<"kind">());
        l.I = whole<"I">();
        l.H = whole<"H">();
        l.O = whole<"O">();
        Options<T>& o = l.options;
        o.plain = whole<"plain">();
        if (!o.plain) {  // otherwise they have their defaults
            o.phi = function<"phi">();
            o.sigma = function<"sigma">();
            o.psi = function<"out">();
            o.gate_clip = real<"gate_clip">();
        }
        o.coupled = whole<"coupled">();
        o.cell_clip = real<"cell_clip">();
        o.zoneout_h = real<"zoneout_h">();
        o.zoneout_c = real<"zoneout_c">();
        o.norm = whole<"norm">();
        o.reset_before = whole<"reset_before">();
        o.proj_clip = real<"proj_clip">();
    }

    // A value that must be there: KeyError without it.
    template <Name name>
    long whole() {
        return checked(PyLong_AsLong(needed<name>()));
    }
    template <Name name>
    T real() {
        return T(nanobind::cast<double>(nanobind::handle(needed<name>())));
    }

    // An address, as a number; without it, `to` stays as it is.
    template <Name name, class U>
    void array(U*& to) {
        if (PyObject* value = find<name>()) to = static_cast<U*>(PyLong_AsVoidPtr(value));
    }
    // (address, stride of rows, stride of steps). With `has_value_stride` the stride of values follows, which is
    // returned.
    template <Name name, class U>
    long steps(Steps<U>& to, bool has_value_stride = false) {
        PyObject* value = find<name>();
        if (!value) return 0;
        auto item = [&](int k) { return PyTuple_GetItem(value, k); };
        to.data = static_cast<U*>(PyLong_AsVoidPtr(item(0)));
        to.row = checked(PyLong_AsLong(item(1)));
        to.step = checked(PyLong_AsLong(item(2)));
        return has_value_stride ? checked(PyLong_AsLong(item(3))) : 0;
    }

  private:
    template <Name name>
    PyObject* find() {
        static PyObject* const key = PyUnicode_InternFromString(name.text);  // interning is slower than the look-up
        return PyDict_GetItem(values_, key);
    }
    template <Name name>
    PyObject* needed() {
        PyObject* value = find<name>();
        if (!value) throw nanobind::key_error(name.text);
        return value;
    }
    static long checked(long value) {
        if (value == -1 && PyErr_Occurred()) nanobind::raise_python_error();
        return value;
    }
    // (number, first parameter, second parameter)
    template <Name name>
    Function<T> function() {
        PyObject* value = needed<name>();
        auto item = [&](int k) { return nanobind::handle(PyTuple_GetItem(value, k)); };
        return {Activation(nanobind::cast<int>(item(0))), T(nanobind::cast<double>(item(1))),
                T(nanobind::cast<double>(item(2)))};
    }

    PyObject* values_;
};

}  // namespace holdfast
