// Cholesky factor of a matrix that grows by rows, and solving with it. One thread: it runs beside a model that has its own.
#pragma once

#include <cstdint>

namespace pysmdl {

// Rows known .. count - 1 of the lower factor of matrix + noise * identity, the rows before them being there.
// matrix, factor: [count, count] in rows of `stride` elements; of the matrix the lower triangle is read.
// Returns false where the matrix is not positive definite.
bool extend_cholesky(const double* matrix, double* factor, int64_t stride, int64_t known, int64_t count, double noise);

// x with factor factor^T x = x as given. x: [count], in place.
void solve_cholesky(const double* factor, int64_t stride, int64_t count, double* x);

}  // namespace pysmdl
