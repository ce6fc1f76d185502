// What kernels share that read a model's numbers: float32 of each dtype, and which of two comes first.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace pysmdl::cuda {

__device__ inline float as_float(float value) { return value; }
__device__ inline float as_float(__half value) { return __half2float(value); }
__device__ inline float as_float(__nv_bfloat16 value) { return __bfloat162float(value); }

// Whether (value, at) beats (best, where): NaN before all, then the larger, then the earlier.
__device__ inline bool beats(float value, int at, float best, int where) {
  const bool new_nan = value != value, old_nan = best != best;
  if (new_nan || old_nan) return new_nan && (!old_nan || at < where);
  return value > best || (value == best && at < where);
}

}  // namespace pysmdl::cuda
