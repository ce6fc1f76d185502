// class_scores on a GPU: one block a row; maximum, sum and entropy by fixed trees, so the same bits every time.
#include "../core/ops.h"
#include "launch.h"
#include "values.h"

namespace pysmdl::cuda {
namespace {

constexpr int kThreads = 128;

// Sum of one value per thread, in a tree of fixed shape; every thread gets it.
__device__ float block_sum(float value, float* scratch) {
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
    __syncthreads();
  }
  const float sum = scratch[0];
  __syncthreads();
  return sum;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) class_scores_kernel(ClassScoresParams p) {
  __shared__ float scratch[kThreads];
  __shared__ int index[kThreads];
  const int64_t b = blockIdx.x;
  const T* logits = static_cast<const T*>(p.logits) + b * p.logits_row;
  const int classes = static_cast<int>(p.classes);

  int top = min(static_cast<int>(threadIdx.x), classes - 1);
  for (int k = threadIdx.x; k < classes; k += kThreads)
    if (beats(as_float(logits[k]), k, as_float(logits[top]), top)) top = k;
  scratch[threadIdx.x] = as_float(logits[top]);
  index[threadIdx.x] = top;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      const float other = scratch[threadIdx.x + half];
      const int at = index[threadIdx.x + half];
      if (beats(other, at, scratch[threadIdx.x], index[threadIdx.x])) {  // the first maximum
        scratch[threadIdx.x] = other;
        index[threadIdx.x] = at;
      }
    }
    __syncthreads();
  }
  const float shift = scratch[0];
  top = index[0];
  __syncthreads();

  float part = 0.0f;
  for (int k = threadIdx.x; k < classes; k += kThreads) part += expf(as_float(logits[k]) - shift);
  const float scale = 1.0f / block_sum(part, scratch);

  float entropy = 0.0f;
  if (p.entropy && classes > 1) {
    part = 0.0f;
    for (int k = threadIdx.x; k < classes; k += kThreads) {
      const float prob = expf(as_float(logits[k]) - shift) * scale;
      part -= prob * logf(prob + 1e-7f);
    }
    entropy = block_sum(part, scratch);
  }
  float* out = p.out + b * (p.traced + 2);
  for (int t = threadIdx.x; t < p.traced; t += kThreads) {
    const int32_t asked = p.targets[b * p.traced + t];
    const int target = asked < 0 ? top : min(asked, classes - 1);  // the caller checks; never read outside
    out[2 + t] = expf(as_float(logits[target]) - shift) * scale;
  }
  if (threadIdx.x == 0) {
    out[0] = p.entropy && classes > 1 ? 1.0f - entropy / logf(static_cast<float>(classes)) : 0.0f;
    out[1] = static_cast<float>(top);
  }
}

}  // namespace

void class_scores(const ClassScoresParams& p, int device, void* stream) {
  if (p.batch == 0) return;
  const DeviceGuard guard(device);
  const auto on = static_cast<cudaStream_t>(stream);
  const auto rows = static_cast<unsigned>(p.batch);
  switch (p.dtype) {
    case DType::f16: class_scores_kernel<__half><<<rows, kThreads, 0, on>>>(p); break;
    case DType::bf16: class_scores_kernel<__nv_bfloat16><<<rows, kThreads, 0, on>>>(p); break;
    default: class_scores_kernel<float><<<rows, kThreads, 0, on>>>(p);
  }
  PYSMDL_CUDA_CHECK(cudaGetLastError());
}

}  // namespace pysmdl::cuda
