#include "tensor.h"

#include <algorithm>

#include "../core/dlpack.h"

namespace py = pybind11;

namespace pysmdl {
namespace {

py::object to_capsule(py::handle object) {
  if (PyCapsule_CheckExact(object.ptr())) return py::reinterpret_borrow<py::object>(object);
  const py::object export_ = object.attr("__dlpack__");
  // The versioned protocol lets read-only arrays cross. Producers older than it do not know the argument.
  try {
    return export_(py::arg("max_version") = py::make_tuple(1, 0));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    return export_();
  }
}

DType dtype_of(const dlpack::DataType& type, const char* name) {
  if (type.lanes == 1) {
    if (type.code == dlpack::kFloat && type.bits == 32) return DType::f32;
    if (type.code == dlpack::kFloat && type.bits == 16) return DType::f16;
    if (type.code == dlpack::kBfloat && type.bits == 16) return DType::bf16;
    if (type.code == dlpack::kInt && type.bits == 32) return DType::i32;
    if (type.code == dlpack::kInt && type.bits == 64) return DType::i64;
  }
  throw std::invalid_argument(message(name, " must be float32, float16, bfloat16, int32 or int64, got DLPack type code ",
                                      int{type.code}, " with ", int{type.bits}, " bits"));
}

}  // namespace

Borrowed borrow(py::handle object, const char* name, int grid) {
  Borrowed view;
  view.name = name;
  view.capsule = to_capsule(object);
  PyObject* capsule = view.capsule.ptr();
  const dlpack::Tensor* tensor = nullptr;
  if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
    auto* managed = static_cast<dlpack::ManagedTensorVersioned*>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
    PYSMDL_CHECK(managed->major == 1, name, " crosses by DLPack ", managed->major, ", this build reads version 1");
    view.read_only = (managed->flags & dlpack::kReadOnly) != 0;
    tensor = &managed->tensor;
  } else {
    PYSMDL_CHECK(PyCapsule_IsValid(capsule, "dltensor"), name, " must be a fresh DLPack capsule or have __dlpack__");
    tensor = &static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"))->tensor;
  }
  view.ndim = std::min<int>(tensor->ndim, grid + 1);
  PYSMDL_CHECK(view.ndim <= TensorView::kMaxDims, name, " has ", tensor->ndim, " dimensions, at most ",
               TensorView::kMaxDims, " are read");
  view.dtype = dtype_of(tensor->dtype, name);
  view.data = static_cast<char*>(tensor->data) + tensor->byte_offset;
  view.shape.fill(1);
  int64_t step = 1;
  for (int d = tensor->ndim - 1; d >= 0; --d) {
    int64_t& shape = view.shape[std::min(d, grid)];
    int64_t& stride = view.strides[std::min(d, grid)];
    const int64_t size = tensor->shape[d], own = tensor->strides ? tensor->strides[d] : step;
    PYSMDL_CHECK(shape <= 1 || size <= 1 || own == shape * stride, name, " must have its grid in one run");
    if (shape <= 1) stride = own;
    shape *= size, step *= size;
  }
  switch (tensor->device.type) {
    case dlpack::kCPU: view.device = DeviceKind::cpu; break;
    case dlpack::kCUDA:
    case dlpack::kCUDAManaged: view.device = DeviceKind::cuda; break;
    case dlpack::kCUDAHost: view.device = DeviceKind::cpu; break;
    default: throw std::invalid_argument(message(name, " lives on an unsupported device, DLPack type ", tensor->device.type));
  }
  view.device_id = view.device == DeviceKind::cuda ? tensor->device.id : 0;
  return view;
}

}  // namespace pysmdl
