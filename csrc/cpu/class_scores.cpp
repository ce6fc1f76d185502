// class_scores on the CPU: first maximum, softmax and entropy of each row in a buffer in cache.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../core/fast_math.h"
#include "../core/half.h"
#include "../core/ops.h"
#include "../core/parallel.h"
#include "../core/simd.h"

namespace pysmdl::cpu {
namespace {

constexpr int kLanes = 16;  // partial sums kept apart: loops vectorise, and the order of adding is the same everywhere
constexpr float kLowest = -std::numeric_limits<float>::infinity();  // a logit that counts as no class

float total(const float (&lanes)[kLanes]) {
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// float32 as whole numbers in the same order, -0 with 0; NaN anywhere. A maximum of whole numbers vectorises.
inline int32_t ranked(float value) {
  const auto bits = static_cast<int32_t>(to_bits(value + 0.0f));
  return bits ^ ((bits >> 31) & INT32_MAX);
}

// The first maximum of row[i]; NaN counts as one. `n` is a multiple of kLanes.
PYSMDL_SIMD int64_t first_maximum(const float* row, int64_t n) {
  int32_t highest = INT32_MIN, magnitude = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t rank = ranked(row[i]), bits = static_cast<int32_t>(to_bits(row[i])) & INT32_MAX;
    highest = rank > highest ? rank : highest;
    magnitude = bits > magnitude ? bits : magnitude;
  }
  if (magnitude > 0x7f800000) return std::find_if(row, row + n, [](float each) { return each != each; }) - row;
  for (int64_t i = 0;; i += kLanes) {
    int32_t found = 0;
    for (int j = 0; j < kLanes; ++j) found |= ranked(row[i + j]) == highest;
    if (found) return std::find_if(row + i, row + n, [&](float each) { return ranked(each) == highest; }) - row;
  }
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
  const int64_t top = first_maximum(row.data(), padded);
  const float shift = row[top];
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
