// The part of the DLPack 1.x ABI that borrowing a tensor needs.
//
// Field order and sizes are those of the standard (https://dmlc.github.io/dlpack); nothing here may be
// reordered. Both capsules are understood: "dltensor" (0.x) and "dltensor_versioned" (1.x).
#pragma once

#include <cstdint>

namespace pysmdl::dlpack {

enum DeviceType : int32_t { kCPU = 1, kCUDA = 2, kCUDAHost = 3, kCUDAManaged = 13 };
enum TypeCode : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kBool = 6 };

struct Device {
  int32_t type;
  int32_t id;
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null means C-contiguous
  uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* manager;
  void (*deleter)(ManagedTensor*);
};

struct ManagedTensorVersioned {
  uint32_t major, minor;
  void* manager;
  void (*deleter)(ManagedTensorVersioned*);
  uint64_t flags;
  Tensor tensor;
};

constexpr uint64_t kReadOnly = 1, kCopied = 2;  // of flags

}  // namespace pysmdl::dlpack
