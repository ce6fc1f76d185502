// The ops' parameters: plain structs of raw pointers and sizes. All strides are in elements, not bytes.
// cpu/ and cuda/ implement the same names; neither sees Python nor the other.
#pragma once

#include <cstdint>

#include "tensor_view.h"

namespace pysmdl {

// out[b, c, p] = x[i, c, p] if labels[i, p] < 0 or bit labels[i, p] of rows[b] else baseline[i, c, p], i = source[b].
// A select of raw words: only the element's size matters, so float16 and bfloat16 share one path.
struct ComposeParams {
  // inputs
  const void* x;            // [inputs, channels, points]
  const void* baseline;     // [inputs, channels, points]
  const int32_t* labels;    // [inputs, points]
  const int32_t* rows;      // [batch, words], contiguous
  const int32_t* source;    // [batch], contiguous; negative: padding, filled with zeros
  // outputs
  void* out;                // [batch, channels, points]

  int64_t inputs, batch, channels, points, words;
  int64_t x_input, x_channel, x_point;
  int64_t baseline_input, baseline_channel, baseline_point;
  int64_t labels_input, labels_point;
  int64_t out_row, out_channel, out_point;
  int element_size;  // 2 or 4
};

// Softmax of each row, read at a few places. out[b] = (confidence, top class, p_t for t in targets[b]).
struct ClassScoresParams {
  const void* logits;      // [batch, classes], row stride below, unit class stride
  const int32_t* targets;  // [batch, traced], contiguous; -1: the row's own top class
  float* out;              // [batch, traced + 2], contiguous
  int64_t batch, classes, traced, logits_row;
  DType dtype;
  bool entropy;  // false: the confidence column is written as 0
};

// out[c] = effectiveness of S + candidates[c]: sum over its members of the distance to their nearest other member.
struct DistanceGainsParams {
  const float* distances;     // [regions, regions], contiguous
  const float* nearest;       // [members]: distance of members[i] to its nearest other member
  const int32_t* members;     // [members]
  const int32_t* candidates;  // [candidates]
  float* out;                 // [candidates]
  int64_t regions, member_count, candidate_count;
};

namespace cpu {
void compose(const ComposeParams& params, int threads);
void class_scores(const ClassScoresParams& params, int threads);
void distance_gains(const DistanceGainsParams& params);
}  // namespace cpu

#ifdef PYSMDL_WITH_CUDA
namespace cuda {
// All launches go to `stream` (a cudaStream_t) and return without waiting for it.
void compose(const ComposeParams& params, int device, void* stream);
void class_scores(const ClassScoresParams& params, int device, void* stream);
void distance_gains(const DistanceGainsParams& params, int device, void* stream);
}  // namespace cuda
#endif

}  // namespace pysmdl
