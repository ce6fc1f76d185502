// Cholesky factor of a matrix that grows by rows, and solving with it, in float32: its rounding is to the noise on the
// diagonal as 1 to 100 at 4,000 rows. The number of threads changes no bit.
#pragma once

#include <cstdint>

namespace pysmdl {

// The lower factor of matrix + noise * identity, in place: rows 0 .. known - 1 are the factor's already, rows known ..
// count - 1 are the matrix's and become the factor's. factor: [count, count] in rows of `stride` elements, of which the
// lower triangle counts. Returns false where the matrix is not positive definite.
bool extend_cholesky(float* factor, int64_t stride, int64_t known, int64_t count, float noise, int threads);

// x with factor factor^T x = x as given. x: [count], in place.
void solve_cholesky(const float* factor, int64_t stride, int64_t count, double* x);

}  // namespace pysmdl
