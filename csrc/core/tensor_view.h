// A borrowed tensor: pointer, shape, strides, element type, device. Owns nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "check.h"

namespace pysmdl {

enum class DType : uint8_t { f32, f16, bf16, i32, i64 };
enum class DeviceKind : uint8_t { cpu, cuda };

inline int size_of(DType type) {
  switch (type) {
    case DType::f16:
    case DType::bf16: return 2;
    case DType::i64: return 8;
    default: return 4;
  }
}

inline const char* name_of(DType type) {
  switch (type) {
    case DType::f32: return "float32";
    case DType::f16: return "float16";
    case DType::bf16: return "bfloat16";
    case DType::i32: return "int32";
    default: return "int64";
  }
}

struct TensorView {
  static constexpr int kMaxDims = 4;

  const char* name = "";  // the argument's name, for messages
  void* data = nullptr;
  int ndim = 0;
  std::array<int64_t, kMaxDims> shape{};
  std::array<int64_t, kMaxDims> strides{};  // in elements, never bytes
  DType dtype = DType::f32;
  DeviceKind device = DeviceKind::cpu;
  int device_id = 0;
  bool read_only = false;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }

  std::string shape_text() const {
    std::string text = "[";
    for (int d = 0; d < ndim; ++d) text += (d ? ", " : "") + std::to_string(shape[d]);
    return text + "]";
  }

  void expect_dims(int dims) const {
    PYSMDL_CHECK(ndim == dims, name, " must have ", dims, " dimensions, got shape ", shape_text());
  }
  void expect_dtype(DType want) const {
    PYSMDL_CHECK(dtype == want, name, " must be ", name_of(want), ", got ", name_of(dtype));
  }
  void expect_float() const {
    PYSMDL_CHECK(dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16, name,
                 " must be float32, float16 or bfloat16, got ", name_of(dtype));
  }
  void expect_size(int dim, int64_t want, const char* meaning) const {
    PYSMDL_CHECK(shape[dim] == want, name, " has shape ", shape_text(), ": dimension ", dim, " must be ", want, " (",
                 meaning, ")");
  }
  void expect_contiguous() const {
    int64_t step = 1;
    for (int d = ndim - 1; d >= 0; --d) {
      PYSMDL_CHECK(shape[d] <= 1 || strides[d] == step, name, " must be contiguous");
      step *= shape[d];
    }
  }
  void expect_same_device(const TensorView& other) const {
    PYSMDL_CHECK(device == other.device && device_id == other.device_id, name, " and ", other.name,
                 " must be on the same device");
  }
};

}  // namespace pysmdl
