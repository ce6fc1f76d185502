#include "cholesky.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"
#include "simd.h"

namespace pysmdl {
namespace {

constexpr int kRows = 16, kColumns = 4;     // whose sums are in registers at a time; of few rows, half as many
constexpr int64_t kShared = 64;             // rows that threads may share
constexpr int64_t kWorthThreads = 1 << 23;  // products of these, about a millisecond: awaiting a thread may cost more

constexpr int kLanes = 32;  // partial sums kept apart, for the vectoriser

PYSMDL_SIMD float dot(const float* a, const float* b, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  for (int lane = 0; i < n; ++i, ++lane) lanes[lane] += a[i] * b[i];
  for (int half = kLanes / 2; half; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// y -= scale * x
PYSMDL_SIMD void subtract(float* y, const float* x, float scale, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] -= scale * x[i];
}

// sums[c][r] = sum over t < count of lines[c][t] * rows[t, r], rows [count, R], in order of t.
template <int R>
[[gnu::always_inline]] inline void products(const float* const* lines, const float* rows, int64_t count,
                                            float (*sums)[R]) {
  float in[kColumns][R] = {};
  for (int64_t t = 0; t < count; ++t, rows += R)
    for (int c = 0; c < kColumns; ++c) {
      const float value = lines[c][t];
#pragma GCC unroll 1  // unrolled first, it is not vectorised
      for (int r = 0; r < R; ++r) in[c][r] += value * rows[r];
    }
  for (int c = 0; c < kColumns; ++c) std::copy(in[c], in[c] + R, sums[c]);
}

// Columns from .. to - 1 of rows begin .. end - 1, at most R, as far as the diagonal; those before are done. False
// where the matrix is not positive definite. group: room for [to, R], the rows side by side.
template <int R>
[[gnu::always_inline]] inline bool eliminate(float* factor, int64_t stride, int64_t begin, int64_t end, int64_t from,
                                             int64_t to, float noise, float* group) {
  for (int64_t r = 0; r < R; ++r)
    for (int64_t k = 0; k < to; ++k)
      group[k * R + r] = k <= begin + r && begin + r < end ? factor[(begin + r) * stride + k] : 0;
  for (int64_t first = from; first < to; first += kColumns) {
    const int64_t last = std::min(first + kColumns, to);
    const float* lines[kColumns];
    for (int64_t c = 0; c < kColumns; ++c) lines[c] = factor + std::min(first + c, last - 1) * stride;
    float sums[kColumns][R];
    products<R>(lines, group, first, sums);
    for (int64_t j = first; j < last; ++j) {
      float *column = group + j * R, *line = factor + j * stride;
      for (int r = 0; r < R; ++r) column[r] -= sums[j - first][r];
      for (int64_t k = first; k < j; ++k)
        for (int r = 0; r < R; ++r) column[r] -= line[k] * group[k * R + r];
      if (j >= begin) {
        const float rest = column[j - begin] + noise;
        if (!(rest > 0)) return false;
        line[j] = std::sqrt(rest);
      }
      for (int r = 0; r < R; ++r) column[r] /= line[j];
      for (int64_t i = std::max(begin, j + 1); i < end; ++i) factor[i * stride + j] = column[i - begin];
    }
  }
  return true;
}

PYSMDL_SIMD bool eliminate_rows(float* factor, int64_t stride, int64_t begin, int64_t end, int64_t from, int64_t to,
                                float noise, float* group) {
  if (end - begin <= kRows / 2) return eliminate<kRows / 2>(factor, stride, begin, end, from, to, noise, group);
  return eliminate<kRows>(factor, stride, begin, end, from, to, noise, group);
}

}  // namespace

bool extend_cholesky(float* factor, int64_t stride, int64_t known, int64_t count, float noise, int threads) {
  std::vector<float> room(count * kRows);
  for (int64_t begin = known; begin < count; begin += kShared) {
    const int64_t end = std::min(begin + kShared, count), groups = (end - begin + kRows - 1) / kRows;
    const auto columns = [&](int64_t group, int64_t from, int64_t to, float* side_by_side) {
      const int64_t first = begin + group * kRows, last = std::min(first + kRows, end);
      return eliminate_rows(factor, stride, first, last, from, std::min(to, last), noise, side_by_side);
    };
    const bool worth_threads = (end - begin) * begin * begin / 2 > kWorthThreads;
    // Left of their own square these rows do not need each other.
    parallel_for(groups, worth_threads ? threads : 1, [&](int64_t group, int64_t past) {
      std::vector<float> side_by_side(begin * kRows);
      for (; group < past; ++group) columns(group, 0, begin, side_by_side.data());
    });
    for (int64_t group = 0; group < groups; ++group)
      if (!columns(group, begin, end, room.data())) return false;
  }
  return true;
}

void solve_cholesky(const float* factor, int64_t stride, int64_t count, double* x) {
  std::vector<float> y(x, x + count);
  for (int64_t i = 0; i < count; ++i) y[i] = (y[i] - dot(factor + i * stride, y.data(), i)) / factor[i * stride + i];
  for (int64_t i = count - 1; i >= 0; --i) {
    y[i] /= factor[i * stride + i];
    subtract(y.data(), factor + i * stride, y[i], i);
  }
  std::copy(y.begin(), y.end(), x);
}

}  // namespace pysmdl
