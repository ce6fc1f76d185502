#include "cholesky.h"

#include <algorithm>
#include <cmath>

#include "dot.h"
#include "parallel.h"
#include "simd.h"

namespace pysmdl {
namespace {

constexpr int64_t kBlock = 32;              // columns done for all rows at a time: their rows stay in cache
constexpr int64_t kWorthThreads = 1 << 23;  // products of a block, about a millisecond: awaiting a thread may cost more

// y -= scale * x
PYSMDL_SIMD void subtract(double* y, const double* x, double scale, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] -= scale * x[i];
}

// Columns first .. last - 1 of row i, those to the left of the diagonal.
void eliminate(double* factor, int64_t stride, int64_t i, int64_t first, int64_t last) {
  double* at = factor + i * stride;
  for (int64_t j = first; j < last; ++j) {
    const double* row = factor + j * stride;
    at[j] = (at[j] - dot(at, row, j)) / row[j];
  }
}

// The same of rows begin .. end - 1, all below row `last`: four at a time, for each column is read from afar.
void eliminate_rows(double* factor, int64_t stride, int64_t begin, int64_t end, int64_t first, int64_t last) {
  int64_t i = begin;
  for (double products[4]; i + 4 <= end; i += 4) {
    double* at = factor + i * stride;
    for (int64_t j = first; j < last; ++j) {
      const double* row = factor + j * stride;
      dot_of_four(at, stride, row, j, products);
      for (int64_t r = 0; r < 4; ++r) at[r * stride + j] = (at[r * stride + j] - products[r]) / row[j];
    }
  }
  for (; i < end; ++i) eliminate(factor, stride, i, first, last);
}

}  // namespace

bool extend_cholesky(double* factor, int64_t stride, int64_t known, int64_t count, double noise, int threads) {
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t last = std::min(first + kBlock, count);
    for (int64_t i = std::max(first, known); i < last; ++i) {
      eliminate(factor, stride, i, first, i);
      double* at = factor + i * stride;
      const double rest = at[i] - dot(at, at, i) + noise;
      if (!(rest > 0)) return false;
      at[i] = std::sqrt(rest);
    }
    const int64_t below = std::max(last, known);
    const bool worth_threads = (count - below) * (last - first) * last > kWorthThreads;
    parallel_for(count - below, worth_threads ? threads : 1, [&](int64_t begin, int64_t end) {
      eliminate_rows(factor, stride, below + begin, below + end, first, last);
    });
  }
  return true;
}

void solve_cholesky(const double* factor, int64_t stride, int64_t count, double* x) {
  for (int64_t i = 0; i < count; ++i) x[i] = (x[i] - dot(factor + i * stride, x, i)) / factor[i * stride + i];
  for (int64_t i = count - 1; i >= 0; --i) {
    x[i] /= factor[i * stride + i];
    subtract(x, factor + i * stride, x[i], i);
  }
}

}  // namespace pysmdl
