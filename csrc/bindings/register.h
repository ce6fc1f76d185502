// One registration function per family of bindings; module.cpp calls each and does nothing else.
#pragma once

#include <pybind11/pybind11.h>

namespace pysmdl {

void register_build(pybind11::module_& m);
void register_chains(pybind11::module_& m);
void register_kernels(pybind11::module_& m);
void register_subsets(pybind11::module_& m);

}  // namespace pysmdl
