// What every launcher needs: the right device, the caller's stream, and an error that says where.
#pragma once

#include <cuda_runtime.h>

#include "../core/check.h"

namespace pysmdl::cuda {

inline void check(cudaError_t status, const char* file, int line) {
  if (status != cudaSuccess)
    throw BackendFailure(message("CUDA: ", cudaGetErrorString(status), " (", file, ":", line, ")"));
}

#define PYSMDL_CUDA_CHECK(call) ::pysmdl::cuda::check((call), __FILE__, __LINE__)

class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    PYSMDL_CUDA_CHECK(cudaGetDevice(&previous_));
    if (device != previous_) PYSMDL_CUDA_CHECK(cudaSetDevice(device));
    changed_ = device != previous_;
  }
  ~DeviceGuard() {
    if (changed_) cudaSetDevice(previous_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_ = 0;
  bool changed_ = false;
};

inline unsigned blocks(int64_t n, int64_t per_block) { return static_cast<unsigned>((n + per_block - 1) / per_block); }

}  // namespace pysmdl::cuda
