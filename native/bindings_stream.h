// The part of Python's way in that is for streams.
#pragma once

#include <nanobind/nanobind.h>

void bind_streams(nanobind::module_& m);
