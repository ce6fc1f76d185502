#include "exact_sums.h"

#include <algorithm>

#include "simd.h"

namespace pysmdl {

PYSMDL_SIMD void tile_sums(const float* const* rows, const float* times, int64_t count, int64_t stride, float* sums) {
  float in[kTogether][kTile] = {};
  for (int64_t t = 0; t < count; ++t, times += kTile)
    for (int i = 0; i < kTogether; ++i) {
      const float value = rows[i][t];
      for (int x = 0; x < kTile; ++x) in[i][x] += value * times[x];
    }
  for (int i = 0; i < kTogether; ++i) std::copy(in[i], in[i] + kTile, sums + i * stride);
}

PYSMDL_SIMD void sums_of_one(const float* kept, const float* removed, const int8_t* flip, int64_t count, float* sums) {
  float in[2][kTile] = {};
  int64_t t = 0;
  for (; t + kTile <= count; t += kTile)
    for (int i = 0; i < kTile; ++i) {
      const float lacked = flip[t + i] > 0 ? 1.0f : 0.0f;
      in[0][i] += kept[t + i] * lacked, in[1][i] += removed[t + i] * lacked;
    }
  for (int i = 0; t < count; ++t, ++i)
    if (flip[t] > 0) in[0][i] += kept[t], in[1][i] += removed[t];
  for (int view = 0; view < 2; ++view) {
    sums[view] = 0;
    for (const float each : in[view]) sums[view] += each;
  }
}

}  // namespace pysmdl
