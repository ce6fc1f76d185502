// DLPack capsule -> TensorView, borrowed for one call.
#pragma once

#include <pybind11/pybind11.h>

#include "../core/tensor_view.h"

namespace pysmdl {

// Holds the capsule while the view is in use. The capsule is not consumed: its own destructor returns the tensor to
// whoever made it.
struct Borrowed : TensorView {
  pybind11::object capsule;
};

// `object` is a DLPack capsule or anything with __dlpack__ (NumPy arrays, CPU tensors). Dimensions from `grid` on,
// however many, are read as one.
Borrowed borrow(pybind11::handle object, const char* name, int grid = TensorView::kMaxDims);

}  // namespace pysmdl
