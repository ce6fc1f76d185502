// distance_gains on a GPU: a thread prices one candidate, in double and in member order, as the CPU does.
#include "../core/ops.h"
#include "launch.h"

namespace pysmdl::cuda {
namespace {

constexpr int kThreads = 64;

__global__ void distance_gains_kernel(DistanceGainsParams p) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= p.candidate_count) return;
  const auto region = [&](int32_t number) {  // the caller checks; never read outside
    return min(max(static_cast<int64_t>(number), int64_t{0}), p.regions - 1);
  };
  const float* distance = p.distances + region(p.candidates[c]);
  double sum = 0.0;
  float own = INFINITY;
  for (int64_t i = 0; i < p.member_count; ++i) {
    const float d = distance[region(p.members[i]) * p.regions];  // neighbouring threads read neighbouring columns
    own = lower(own, d);
    sum += lower(p.nearest[i], d);
  }
  p.out[c] = p.member_count ? static_cast<float>(sum + own) : 0.0f;
}

}  // namespace

void distance_gains(const DistanceGainsParams& p, int device, void* stream) {
  if (p.candidate_count == 0) return;
  const DeviceGuard guard(device);
  distance_gains_kernel<<<blocks(p.candidate_count, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p);
  PYSMDL_CUDA_CHECK(cudaGetLastError());
}

}  // namespace pysmdl::cuda
