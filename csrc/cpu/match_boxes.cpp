// match_boxes on the CPU: one pass over a row's predictions.
#include <algorithm>

#include "../core/half.h"
#include "../core/ops.h"
#include "../core/parallel.h"

namespace pysmdl::cpu {
namespace {

float read(const MatchBoxesParams& p, int64_t index) {
  if (p.dtype == DType::f32) return static_cast<const float*>(p.confidences)[index];
  const uint16_t bits = static_cast<const uint16_t*>(p.confidences)[index];
  return p.dtype == DType::f16 ? float16_to_float(bits) : bfloat16_to_float(bits);
}

// The highest confidence among the row's labels; NaN wins, so that it is seen.
float confidence_of(const MatchBoxesParams& p, int64_t b, int64_t query) {
  float highest = 0.0f;
  bool any = false;
  for (int64_t l = 0; l < p.listed; ++l) {
    const int32_t label = p.labels[b * p.listed + l];
    if (label < 0) continue;
    const float value = read(p, (b * p.queries + query) * p.classes + label);
    if (!any || value > highest || value != value) highest = value;
    any = true;
    if (highest != highest) break;
  }
  return highest <= p.floor ? 0.0f : highest;
}

void match_row(const MatchBoxesParams& p, int64_t b) {
  float* out = p.out + b * 7;
  float best = -1.0f, highest = -1.0f;
  for (int64_t q = 0; q < p.queries; ++q) {
    const float* box = p.boxes + (b * p.queries + q) * 4;
    const float iou = box_iou(box, p.target + b * 4), confidence = confidence_of(p, b, q);
    const float rank = match_rank(p.mode[b], iou, confidence), match = match_value(p.mode[b], iou, confidence);
    if (match > highest || match != match) highest = match;
    if (rank > best || rank != rank) {  // strict: the first maximum
      best = rank;
      out[1] = iou, out[2] = confidence;
      std::copy(box, box + 4, out + 3);
      if (rank != rank) break;
    }
  }
  out[0] = highest;
}

}  // namespace

void match_boxes(const MatchBoxesParams& params, int threads) {
  const bool small = params.batch * params.queries * std::max<int64_t>(1, params.listed) < (1 << 14);
  parallel_for(params.batch, small ? 1 : threads, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) match_row(params, b);
  });
}

}  // namespace pysmdl::cpu
