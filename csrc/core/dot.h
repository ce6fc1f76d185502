// The scalar product of two vectors of n numbers, added up in the same order on every machine.
#pragma once

#include <cstdint>

namespace pysmdl {

double dot(const double* a, const double* b, int64_t n);

}  // namespace pysmdl
