// A borrowed tensor: pointer, shape, strides, element type, device. Owns nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

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
  bool read_only = false;  // or a copy: what is written to it reaches nobody

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }

  std::string shape_text() const { return text_of(shape); }

  int64_t size() const {
    int64_t product = 1;
    for (int d = 0; d < ndim; ++d) product *= shape[d];
    return product;
  }

  // The bytes that it covers, first and one past the last, whatever its strides' signs.
  std::pair<const char*, const char*> extent() const {
    int64_t low = 0, high = size() > 0 ? 1 : 0;
    for (int d = 0; d < ndim && high > 0; ++d) (strides[d] < 0 ? low : high) += (shape[d] - 1) * strides[d];
    const auto* start = static_cast<const char*>(data);
    return {start + low * size_of(dtype), start + high * size_of(dtype)};
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
    for (int d = ndim - 1; d >= 0 && size() > 0; --d) {
      PYSMDL_CHECK(shape[d] <= 1 || strides[d] == step, name, " must be contiguous");
      step *= shape[d];
    }
  }
  void expect_same_device(const TensorView& other) const {
    PYSMDL_CHECK(device == other.device && device_id == other.device_id, name, " and ", other.name,
                 " must be on the same device");
  }
  // Each dimension steps over all that the ones with smaller strides reach, so no element lies where another does.
  void expect_no_overlap() const {
    std::array<int, kMaxDims> by_stride{};
    for (int d = 0; d < ndim; ++d) by_stride[d] = d;
    const auto step = [this](int d) { return std::abs(strides[d]); };
    std::sort(by_stride.begin(), by_stride.begin() + ndim, [&](int a, int b) { return step(a) < step(b); });
    int64_t reach = 0;
    for (int i = 0; i < ndim && size() > 0; ++i) {
      const int d = by_stride[i];
      if (shape[d] == 1) continue;
      PYSMDL_CHECK(step(d) > reach, name, " must not overlap itself, got shape ", shape_text(), " with strides ",
                   text_of(strides));
      reach += (shape[d] - 1) * step(d);
    }
  }
  void expect_apart(const TensorView& other) const {
    const auto [first, last] = extent();
    const auto [other_first, other_last] = other.extent();
    PYSMDL_CHECK(first == last || other_first == other_last || last <= other_first || other_last <= first, name,
                 " must not share memory with ", other.name);
  }

 private:
  std::string text_of(const std::array<int64_t, kMaxDims>& numbers) const {
    std::string text = "[";
    for (int d = 0; d < ndim; ++d) text += (d ? ", " : "") + std::to_string(numbers[d]);
    return text + "]";
  }
};

}  // namespace pysmdl
