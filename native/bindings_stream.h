// The classes of streams for Python.
#pragma once

#include <nanobind/nanobind.h>

void bind_streams(nanobind::module_& m);
