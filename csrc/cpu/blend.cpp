// blend on the CPU: a tile of points stays in the first cache while each row of the batch is written from it.
#include <algorithm>
#include <vector>

#include "../core/ops.h"
#include "../core/parallel.h"
#include "../core/simd.h"

namespace pysmdl::cpu {
namespace {

constexpr int64_t kTile = 2048;             // points: their shares, and three channels of both operands
constexpr int64_t kWorthThreads = 1 << 15;  // numbers written below which waking a thread costs more than it saves

// share[i]: the weight of point i's region. A row's table begins with what is always shown and ends with what is never.
PYSMDL_SIMD void look_up(const int32_t* __restrict labels, const float* __restrict table, int32_t regions,
                         float* __restrict share, int64_t n) {
  for (int64_t i = 0; i < n; ++i) share[i] = table[std::max(std::min(labels[i], regions), -1) + 1];
}

PYSMDL_SIMD void blend_run(const float* __restrict x, const float* __restrict baseline, const float* __restrict share,
                           float* __restrict out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = share[i] * x[i] + (1.0f - share[i]) * baseline[i];
}

PYSMDL_SIMD void blend_run(const float* __restrict x, float baseline, const float* __restrict share,
                           float* __restrict out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = share[i] * x[i] + (1.0f - share[i]) * baseline;
}

// One row's points [begin, begin + n), their shares looked up; `wide` has room for a share of each number.
void write(const BlendParams& p, int64_t row, int64_t begin, int64_t n, const float* share, float* wide) {
  const float* x = p.x + p.source[row] * p.x_input + begin * p.x_point;
  const float* baseline = p.baseline + p.source[row] * p.baseline_input + begin * p.baseline_point;
  float* out = p.out + row * p.out_row + begin * p.out_point;
  const auto together = [&](int64_t channel, int64_t point) { return channel == 1 && point == p.channels; };
  if (p.channels > 1 && together(p.x_channel, p.x_point) && together(p.out_channel, p.out_point) &&
      (together(p.baseline_channel, p.baseline_point) || (p.baseline_channel == 0 && p.baseline_point == 0))) {
    for (int64_t i = 0; i < n; ++i) std::fill_n(wide + i * p.channels, p.channels, share[i]);
    if (p.baseline_point == 0) blend_run(x, *baseline, wide, out, n * p.channels);
    else blend_run(x, baseline, wide, out, n * p.channels);
    return;
  }
  for (int64_t c = 0; c < p.channels; ++c) {
    const float *shown = x + c * p.x_channel, *hidden = baseline + c * p.baseline_channel;
    float* to = out + c * p.out_channel;
    if (p.x_point == 1 && p.out_point == 1 && p.baseline_point == 0) {
      blend_run(shown, *hidden, share, to, n);
    } else if (p.x_point == 1 && p.out_point == 1 && p.baseline_point == 1) {
      blend_run(shown, hidden, share, to, n);
    } else {
      for (int64_t i = 0; i < n; ++i)
        to[i * p.out_point] = share[i] * shown[i * p.x_point] + (1.0f - share[i]) * hidden[i * p.baseline_point];
    }
  }
}

void clear(const BlendParams& p, int64_t row, int64_t begin, int64_t n) {
  float* out = p.out + row * p.out_row + begin * p.out_point;
  for (int64_t c = 0; c < p.channels; ++c)
    for (int64_t i = 0; i < n; ++i) out[c * p.out_channel + i * p.out_point] = 0;
}

}  // namespace

void blend(const BlendParams& p, int threads) {
  if (p.batch == 0 || p.points == 0 || p.channels == 0) return;  // nothing to write
  const int64_t width = p.regions + 2;
  std::vector<float> tables(p.batch * width, 0.0f);
  for (int64_t b = 0; b < p.batch; ++b) {
    tables[b * width] = 1.0f;
    std::copy_n(p.weights + b * p.regions, p.regions, &tables[b * width + 1]);
  }
  const int64_t tiles = (p.points + kTile - 1) / kTile;
  parallel_for(tiles * p.batch, p.batch * p.channels * p.points < kWorthThreads ? 1 : threads,
               [&](int64_t first, int64_t last) {
                 std::vector<float> share(kTile), wide(kTile * p.channels);
                 for (int64_t unit = first; unit < last; ++unit) {
                   const int64_t row = unit % p.batch, begin = unit / p.batch * kTile;
                   const int64_t n = std::min(kTile, p.points - begin);
                   if (p.source[row] < 0) {
                     clear(p, row, begin, n);
                     continue;
                   }
                   look_up(p.labels + p.source[row] * p.points + begin, &tables[row * width],
                           static_cast<int32_t>(p.regions), share.data(), n);
                   write(p, row, begin, n, share.data(), wide.data());
                 }
               });
}

}  // namespace pysmdl::cpu
