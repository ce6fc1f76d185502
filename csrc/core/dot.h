// The scalar product of two vectors of n numbers, added up in the same order on every machine.
#pragma once

#include <cstdint>

namespace pysmdl {

double dot(const double* a, const double* b, int64_t n);

// Of four vectors a, `stride` elements apart, with b, which is read once: each as `dot` adds it up.
void dot_of_four(const double* a, int64_t stride, const double* b, int64_t n, double* out);

}  // namespace pysmdl
