// NumPy arrays of the machine's own byte order, contiguous and aligned.
#pragma once

#include <pybind11/numpy.h>

#include <cstdint>

#include "../core/check.h"

namespace pysmdl {

// To read from: converted where it is not so.
template <typename T>
using Array = pybind11::array_t<T, pybind11::array::c_style | pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_>;

// To write into: an argument of this kind is never converted (noconvert), or what is written would reach nobody.
template <typename T>
using InPlace = pybind11::array_t<T, pybind11::array::c_style>;

template <typename T>
T* writable(InPlace<T>& array, const char* name) {
  PYSMDL_CHECK(array.writeable(), name, " is read-only");
  PYSMDL_CHECK(reinterpret_cast<uintptr_t>(array.data()) % alignof(T) == 0, name, " must be aligned to its elements");
  return array.mutable_data();
}

}  // namespace pysmdl
