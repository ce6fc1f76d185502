// class_scores on the CPU: first maximum, softmax and entropy of each row in a buffer in cache.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../core/half.h"
#include "../core/ops.h"
#include "../core/parallel.h"
#include "fast_math.h"
#include "../core/simd.h"

namespace pysmdl::cpu {
namespace {

constexpr int kLanes = 16;  // partial sums kept apart: the loops vectorise, and the order of adding is the same everywhere
constexpr float kLowest = -std::numeric_limits<float>::infinity();  // a logit that counts as no class

float total(const float (&lanes)[kLanes]) {
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// The highest of row[i], NaN where one is. `n` is a multiple of kLanes.
PYSMDL_SIMD float highest(const float* row, int64_t n) {
  float lanes[kLanes], wrong[kLanes] = {};
  std::fill(lanes, lanes + kLanes, kLowest);
  for (int64_t i = 0; i < n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const float each = row[i + j];
      lanes[j] = each > lanes[j] ? each : lanes[j];
      wrong[j] = each != each ? each : wrong[j];
    }
  const float nan = total(wrong);
  return nan != nan ? nan : *std::max_element(lanes, lanes + kLanes);
}

// row[i] = e^(row[i] - shift); returns the sum. `n` is a multiple of kLanes.
PYSMDL_SIMD float exponentiate(float* row, int64_t n, float shift) {
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      row[i + j] = exp_nonpositive(row[i + j] - shift);
      lanes[j] += row[i + j];
    }
  return total(lanes);
}

// -sum p log(p + 1e-7) with p = row / sum.
PYSMDL_SIMD float entropy(const float* row, int64_t n, float scale) {
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const float p = row[i + j] * scale;
      lanes[j] -= p * log_positive(p + 1e-7f);
    }
  return total(lanes);
}

void load(const ClassScoresParams& p, int64_t b, float* row) {
  const int64_t start = b * p.logits_row;
  if (p.dtype == DType::f32) {
    const float* from = static_cast<const float*>(p.logits) + start;
    for (int64_t k = 0; k < p.classes; ++k) row[k] = from[k];
  } else {
    const uint16_t* from = static_cast<const uint16_t*>(p.logits) + start;
    const bool half = p.dtype == DType::f16;
    for (int64_t k = 0; k < p.classes; ++k) row[k] = half ? float16_to_float(from[k]) : bfloat16_to_float(from[k]);
  }
}

void score_row(const ClassScoresParams& p, int64_t b, std::vector<float>& row) {
  load(p, b, row.data());
  std::fill(row.begin() + p.classes, row.end(), kLowest);
  const auto padded = static_cast<int64_t>(row.size());
  const float shift = highest(row.data(), padded);
  const auto is_top = [shift](float each) { return each == shift || each != each; };
  const int64_t top = std::find_if(row.begin(), row.end(), is_top) - row.begin();
  const float scale = 1.0f / exponentiate(row.data(), padded, shift);

  float* out = p.out + b * (p.traced + 2);
  const bool useful = p.entropy && p.classes > 1;
  out[0] = useful ? 1.0f - entropy(row.data(), padded, scale) / std::log(static_cast<float>(p.classes)) : 0.0f;
  out[1] = static_cast<float>(top);
  for (int64_t t = 0; t < p.traced; ++t) {
    const int32_t target = p.targets[b * p.traced + t];
    out[2 + t] = row[target < 0 ? top : target] * scale;
  }
}

}  // namespace

void class_scores(const ClassScoresParams& params, int threads) {
  const bool small = params.batch * params.classes < (1 << 15);
  parallel_for(params.batch, small ? 1 : threads, [&](int64_t first, int64_t last) {
    std::vector<float> row((params.classes + kLanes - 1) / kLanes * kLanes);
    for (int64_t b = first; b < last; ++b) score_row(params, b, row);
  });
}

}  // namespace pysmdl::cpu
