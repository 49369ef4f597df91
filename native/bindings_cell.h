// Defines the classes Cell_f32 and Cell_f64 of the Python module.
#pragma once

#include <nanobind/nanobind.h>

void bind_cells(nanobind::module_& m);
