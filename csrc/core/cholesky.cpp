#include "cholesky.h"

#include <cmath>

#include "dot.h"
#include "simd.h"

namespace pysmdl {
namespace {

// y -= scale * x
PYSMDL_SIMD void subtract(double* y, const double* x, double scale, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] -= scale * x[i];
}

}  // namespace

bool extend_cholesky(double* factor, int64_t stride, int64_t known, int64_t count, double noise) {
  for (int64_t j = 0; j < count; ++j) {  // column by column: row j stays in cache for all the new rows
    const double* row = factor + j * stride;
    for (int64_t i = j < known ? known : j; i < count; ++i) {
      double* at = factor + i * stride;
      const double rest = at[j] - dot(at, row, j);
      if (i > j) {
        at[j] = rest / row[j];
      } else if (rest + noise > 0) {
        at[j] = std::sqrt(rest + noise);
      } else {
        return false;
      }
    }
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
