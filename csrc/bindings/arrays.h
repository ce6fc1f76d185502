// NumPy arrays that C++ reads in place: contiguous, aligned and of the machine's own byte order, or converted to be so.
#pragma once

#include <pybind11/numpy.h>

namespace pysmdl {

template <typename T>
using Array = pybind11::array_t<T, pybind11::array::c_style | pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_>;

}  // namespace pysmdl
