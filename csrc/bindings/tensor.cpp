#include "tensor.h"

#include <algorithm>
#include <cstdlib>

#include "../core/dlpack.h"

namespace py = pybind11;

namespace pysmdl {
namespace {

constexpr int kMostDims = 64;  // of a tensor whose grid is read as one

py::object to_capsule(py::handle object, const char* name) {
  if (PyCapsule_CheckExact(object.ptr())) return py::reinterpret_borrow<py::object>(object);
  if (!py::hasattr(object, "__dlpack__"))
    throw py::type_error(
        message(name, " must be a DLPack capsule or have __dlpack__, got ", Py_TYPE(object.ptr())->tp_name));
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
  throw std::invalid_argument(message(name,
                                      " must be float32, float16, bfloat16, int32 or int64, got DLPack type code ",
                                      int{type.code}, " with ", int{type.bits}, " bits in ", type.lanes, " lanes"));
}

DeviceKind device_of(const dlpack::Device& device, const char* name) {
  switch (device.type) {
    case dlpack::kCPU:
    case dlpack::kCUDAHost: return DeviceKind::cpu;
    case dlpack::kCUDA:
    case dlpack::kCUDAManaged: return DeviceKind::cuda;
    default: throw std::invalid_argument(message(name, " lives on an unsupported device, DLPack type ", device.type));
  }
}

int64_t times(int64_t a, int64_t b, const char* name) {
  int64_t product = 0;
  PYSMDL_CHECK(!__builtin_mul_overflow(a, b, &product), name, " is larger than any memory");
  return product;
}

// Shape and strides, dimensions from `grid` on as one.
void read_layout(const dlpack::Tensor& tensor, int grid, TensorView& view) {
  const int most = grid < TensorView::kMaxDims ? kMostDims : TensorView::kMaxDims;
  PYSMDL_CHECK(0 <= tensor.ndim && tensor.ndim <= most, view.name, " has ", tensor.ndim, " dimensions, at most ", most,
               " are read");
  view.ndim = std::min<int>(tensor.ndim, grid + 1);
  PYSMDL_CHECK(tensor.ndim == 0 || tensor.shape, view.name, " crosses without a shape");
  view.shape.fill(1);
  int64_t step = 1, elements = 1, bytes = size_of(view.dtype);
  for (int d = tensor.ndim - 1; d >= 0; --d) {
    int64_t& shape = view.shape[std::min(d, grid)];
    int64_t& stride = view.strides[std::min(d, grid)];
    const int64_t size = tensor.shape[d], own = tensor.strides ? tensor.strides[d] : step;
    PYSMDL_CHECK(size >= 0, view.name, " has a dimension of ", size);
    PYSMDL_CHECK(shape <= 1 || size <= 1 || own == times(shape, stride, view.name), view.name,
                 " must have its grid in one run");
    if (shape <= 1) stride = own;
    shape = times(shape, size, view.name), step = times(step, size, view.name);
  }
  for (int d = 0; d < view.ndim; ++d) {  // twice what is covered can be counted, so no offset overflows
    PYSMDL_CHECK(view.strides[d] > INT64_MIN, view.name, " is larger than any memory");
    elements = times(elements, view.shape[d], view.name);
    const int64_t reach = view.shape[d] > 1 ? times(view.shape[d], std::abs(view.strides[d]), view.name) : 0;
    const int64_t covered = times(std::max(elements, reach), 2 * size_of(view.dtype), view.name);
    PYSMDL_CHECK(!__builtin_add_overflow(bytes, covered, &bytes), view.name, " is larger than any memory");
  }
}

}  // namespace

Borrowed borrow(py::handle object, const char* name, int grid) {
  Borrowed view;
  view.name = name;
  view.capsule = to_capsule(object, name);
  PyObject* capsule = view.capsule.ptr();
  const dlpack::Tensor* tensor = nullptr;
  if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
    auto* managed = static_cast<dlpack::ManagedTensorVersioned*>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
    PYSMDL_CHECK(managed->major == 1, name, " crosses by DLPack ", managed->major, ", this build reads version 1");
    view.read_only = (managed->flags & (dlpack::kReadOnly | dlpack::kCopied)) != 0;
    tensor = &managed->tensor;
  } else {
    PYSMDL_CHECK(PyCapsule_IsValid(capsule, "dltensor"), name, " must be a fresh DLPack capsule or have __dlpack__");
    tensor = &static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"))->tensor;
  }
  view.dtype = dtype_of(tensor->dtype, name);
  view.device = device_of(tensor->device, name);
  view.device_id = view.device == DeviceKind::cuda ? tensor->device.id : 0;
  read_layout(*tensor, grid, view);
  view.data = static_cast<char*>(tensor->data) + tensor->byte_offset;
  PYSMDL_CHECK(tensor->data || view.size() == 0, name, " crosses without memory");
  PYSMDL_CHECK(reinterpret_cast<uintptr_t>(view.data) % size_of(view.dtype) == 0, name,
               " must be aligned to its elements of ", size_of(view.dtype), " bytes");
  return view;
}

}  // namespace pysmdl
