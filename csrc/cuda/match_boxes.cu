// match_boxes on a GPU: one block a row, the first maximum by a fixed tree.
#include "../core/ops.h"
#include "launch.h"
#include "values.h"

namespace pysmdl::cuda {
namespace {

constexpr int kThreads = 128;

template <typename T>
__device__ float confidence_of(const MatchBoxesParams& p, int64_t b, int64_t query) {
  const T* row = static_cast<const T*>(p.confidences) + (b * p.queries + query) * p.classes;
  float highest = 0.0f;
  bool any = false;
  for (int64_t l = 0; l < p.listed; ++l) {
    const int32_t asked = p.labels[b * p.listed + l];
    if (asked < 0) continue;
    const int64_t label = asked < p.classes ? asked : p.classes - 1;  // the caller checks; never read outside
    const float value = as_float(row[label]);
    if (!any || value > highest || value != value) highest = value;
    any = true;
    if (highest != highest) break;
  }
  return highest <= p.floor ? 0.0f : highest;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) match_boxes_kernel(MatchBoxesParams p) {
  __shared__ float ranks[kThreads], matches[kThreads];
  __shared__ int places[kThreads];
  const int64_t b = blockIdx.x;
  const int queries = static_cast<int>(p.queries);
  float best = -1.0f, highest = -1.0f;
  int where = queries;
  for (int q = threadIdx.x; q < queries; q += kThreads) {
    const float iou = box_iou(p.boxes + (b * queries + q) * 4, p.target + b * 4);
    const float confidence = confidence_of<T>(p, b, q), rank = match_rank(p.mode[b], iou, confidence);
    highest = fmaxf(highest, match_value(p.mode[b], iou, confidence));  // without NaN, which the rank shows
    if (beats(rank, q, best, where)) best = rank, where = q;
  }
  ranks[threadIdx.x] = best;
  matches[threadIdx.x] = highest;
  places[threadIdx.x] = where;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      const int other = threadIdx.x + half;
      matches[threadIdx.x] = fmaxf(matches[threadIdx.x], matches[other]);
      if (beats(ranks[other], places[other], ranks[threadIdx.x], places[threadIdx.x])) {
        ranks[threadIdx.x] = ranks[other];
        places[threadIdx.x] = places[other];
      }
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    const int q = places[0];
    const float* box = p.boxes + (b * queries + q) * 4;
    float* out = p.out + b * 7;
    out[0] = ranks[0] != ranks[0] ? ranks[0] : matches[0];
    out[1] = box_iou(box, p.target + b * 4);
    out[2] = confidence_of<T>(p, b, q);
    for (int c = 0; c < 4; ++c) out[3 + c] = box[c];
  }
}

}  // namespace

void match_boxes(const MatchBoxesParams& p, int device, void* stream) {
  if (p.batch == 0) return;
  const DeviceGuard guard(device);
  const auto on = static_cast<cudaStream_t>(stream);
  const auto rows = static_cast<unsigned>(p.batch);
  switch (p.dtype) {
    case DType::f16: match_boxes_kernel<__half><<<rows, kThreads, 0, on>>>(p); break;
    case DType::bf16: match_boxes_kernel<__nv_bfloat16><<<rows, kThreads, 0, on>>>(p); break;
    default: match_boxes_kernel<float><<<rows, kThreads, 0, on>>>(p);
  }
  PYSMDL_CUDA_CHECK(cudaGetLastError());
}

}  // namespace pysmdl::cuda
