// Sums of numbers times 0, 1 or -1. Such products are exact, so the compiler may fuse them with the additions where the
// machine can: the sums are the same to the bit (CMakeLists.txt).
#pragma once

#include <cstdint>

namespace pysmdl {

constexpr int kTogether = 4, kTile = 32;  // rows, and columns whose sums are in registers, at a time

// count, rounded up.
inline int64_t whole_tiles(int64_t count) { return (count + kTile - 1) / kTile * kTile; }

// sums[i * stride + x] = sum over t of rows[i][t] * times[t, x], for kTogether rows and one tile of columns, times
// [count, kTile], in order of t.
void tile_sums(const float* const* rows, const float* times, int64_t count, int64_t stride, float* sums);

// Of kept and of removed, [count] each, where a region's flips are positive: to sums [2].
void sums_of_one(const float* kept, const float* removed, const int8_t* flip, int64_t count, float* sums);

}  // namespace pysmdl
