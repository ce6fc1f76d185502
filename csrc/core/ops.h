// The ops' parameters: plain structs of raw pointers and sizes. All strides are in elements, not bytes.
// cpu/ and cuda/ implement the same names; neither sees Python nor the other.
#pragma once

#include <cstdint>

#include "tensor_view.h"

namespace pysmdl {

// out[b, c, p] = x[i, c, p] if labels[i, p] < 0 or bit labels[i, p] of rows[b] else baseline[i, c, p], i = source[b].
// A select of raw words: only the element's size matters, so float16 and bfloat16 share one path, float32 and int32
// one.
struct ComposeParams {
  // inputs
  const void* x;          // [inputs, channels, points]
  const void* baseline;   // [inputs, channels, points]
  const int32_t* labels;  // [inputs, points]
  const int32_t* rows;    // [batch, words], contiguous
  const int32_t* source;  // [batch], contiguous; negative (on a GPU: none of the inputs): padding, filled with zeros
  // outputs
  void* out;  // [batch, channels, points]

  int64_t inputs, batch, channels, points, words;
  int64_t x_input, x_channel, x_point;
  int64_t baseline_input, baseline_channel, baseline_point;
  int64_t labels_input, labels_point;
  int64_t out_row, out_channel, out_point;
  int element_size;  // 2, 4 or 8

  static constexpr int64_t kMostWords = 1 << 26;  // labels are numbers of 31 bits
};

// out[b, c, p] = w x[i, c, p] + (1 - w) baseline[i, c, p], w the weight of labels[i, p] in row b, i = source[b].
struct BlendParams {
  const float* x;         // [inputs, channels, points]
  const float* baseline;  // [inputs, channels, points]
  const int32_t* labels;  // [inputs, points], contiguous; negative: always shown; beyond the regions: never
  const float* weights;   // [batch, regions], contiguous
  const int32_t* source;  // [batch], contiguous; negative: padding, filled with zeros
  float* out;             // [batch, channels, points]

  int64_t batch, channels, points, regions;
  int64_t x_input, x_channel, x_point;
  int64_t baseline_input, baseline_channel, baseline_point;
  int64_t out_row, out_channel, out_point;

  static constexpr int64_t kMostRegions = 1 << 30;  // labels are numbers of 31 bits
};

// Softmax of each row, read at a few places. out[b] = (confidence, top class, p_t for t in targets[b]).
struct ClassScoresParams {
  const void* logits;      // [batch, classes], row stride below, unit class stride
  const int32_t* targets;  // [batch, traced], contiguous; negative: the row's own top class
  float* out;              // [batch, traced + 2], contiguous
  int64_t batch, classes, traced, logits_row;
  DType dtype;
  bool entropy;  // false: the confidence column is written as 0

  static constexpr int64_t kMostClasses = 1 << 24;  // float32 holds the top one's number
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

// The prediction of each row that matches a target box best. out[b] = (match, IoU, confidence, x0, y0, x1, y1).
struct MatchBoxesParams {
  const float* boxes;       // [batch, queries, 4], contiguous, xyxy
  const void* confidences;  // [batch, queries, classes], contiguous
  const float* target;      // [batch, 4]
  const int32_t* labels;    // [batch, listed]; negative entries are skipped
  const int32_t* mode;      // [batch]: a MatchMode
  float* out;               // [batch, 7]
  int64_t batch, queries, classes, listed;
  float floor;  // confidences at or below it count as 0
  DType dtype;  // of the confidences
};

// The tokens that each row keeps of its input, end to end; out[offsets[batch]:] is filled with zeros.
struct PackTokensParams {
  const char* x;           // [inputs, tokens], of token_bytes each, contiguous
  const int32_t* labels;   // [inputs, tokens]
  const int32_t* rows;     // [batch, words]
  const int32_t* source;   // [batch]
  const int32_t* offsets;  // [batch + 1], ascending
  char* out;               // [room], of token_bytes each
  int64_t batch, tokens, words, room, token_bytes;
};

// The images of Haar coefficients that are scaled for their way back; what was filled up of their sides is left out.
struct InverseHaarParams {
  static constexpr int64_t kMostLevels = 8;

  const float* packed;  // [planes, rows, columns], contiguous, both multiples of 2^levels
  float* out;           // [planes, height, width], contiguous
  int64_t planes, rows, columns, height, width, levels;
};

enum MatchMode : int32_t { kObject = 0, kClass = 1, kIou = 2 };

#ifdef __CUDACC__
#define PYSMDL_HOST_DEVICE __host__ __device__
#else
#define PYSMDL_HOST_DEVICE
#endif

// The lower of two; NaN where one is.
PYSMDL_HOST_DEVICE inline float lower(float a, float b) { return a != a || a < b ? a : b; }

// Intersection over union of two xyxy boxes; 0 where they do not meet or either has no area, NaN where a number is NaN
// or both areas are infinite.
PYSMDL_HOST_DEVICE inline float box_iou(const float* a, const float* b) {
  const bool real = a[2] > a[0] && a[3] > a[1] && b[2] > b[0] && b[3] > b[1];
  for (int i = 0; i < 4 && !real; ++i)
    if (a[i] != a[i] || b[i] != b[i]) return a[i] + b[i];
  const float width = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]);
  const float height = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
  const float inside = width * height;
  if (!real || !(width > 0 && height > 0 && inside > 0)) return 0.0f;
  return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside);
}

// By what one prediction is the row's best: IoU x confidence, also where the class alone is scored.
PYSMDL_HOST_DEVICE inline float match_rank(int32_t mode, float iou, float confidence) {
  return mode == kIou ? iou : iou * confidence;
}

// How well one prediction matches, by mode; NaN where its rank is.
PYSMDL_HOST_DEVICE inline float match_value(int32_t mode, float iou, float confidence) {
  const float rank = match_rank(mode, iou, confidence);
  return mode != kClass || rank != rank ? rank : (iou > 0.5f ? confidence : 0.0f);
}

namespace cpu {
void compose(const ComposeParams& params, int threads);
void blend(const BlendParams& params, int threads);
void class_scores(const ClassScoresParams& params, int threads);
void distance_gains(const DistanceGainsParams& params);
void match_boxes(const MatchBoxesParams& params, int threads);
void pack_tokens(const PackTokensParams& params, int threads);
void inverse_haar(const InverseHaarParams& params, int threads);
}  // namespace cpu

#ifdef PYSMDL_WITH_CUDA
namespace cuda {
// All launches go to `stream` (a cudaStream_t) and return without waiting for it.
void compose(const ComposeParams& params, int device, void* stream);
void class_scores(const ClassScoresParams& params, int device, void* stream);
void distance_gains(const DistanceGainsParams& params, int device, void* stream);
void match_boxes(const MatchBoxesParams& params, int device, void* stream);
}  // namespace cuda
#endif

}  // namespace pysmdl
