// inverse_haar on the CPU: a plane at a time, level by level, each line of averages with its three details.
#include <algorithm>
#include <vector>

#include "../core/ops.h"
#include "../core/parallel.h"
#include "../core/simd.h"

namespace pysmdl::cpu {
namespace {

constexpr int64_t kWorthThreads = 1 << 16;  // points below which waking a thread costs more than it saves

// Two lines of 2 n points from n averages and their details along the line, across lines and along both.
PYSMDL_SIMD void unfold(const float* __restrict average, const float* __restrict along, const float* __restrict across,
                        const float* __restrict both, float* __restrict even, float* __restrict odd, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float upper = average[i] + across[i], lower = average[i] - across[i];
    const float right = along[i] + both[i], left = along[i] - both[i];
    even[2 * i] = upper + right, even[2 * i + 1] = upper - right;
    odd[2 * i] = lower + left, odd[2 * i + 1] = lower - left;
  }
}

// One level: rows x columns averages, `step` apart by line, to lines of twice as many points. Of the last level only
// what lies within height x width is written.
void widen(const InverseHaarParams& p, const float* packed, const float* average, int64_t step, int64_t rows,
           int64_t columns, float* out, int64_t height, int64_t width) {
  std::vector<float> beyond(width < 2 * columns || height < 2 * rows ? 4 * columns : 0);
  for (int64_t r = 0; 2 * r < height; ++r) {
    const float* along = packed + r * p.columns + columns;
    const float* across = packed + (rows + r) * p.columns;
    float *even = out + 2 * r * width, *odd = even + width;
    const bool two = 2 * r + 1 < height, cut = width < 2 * columns;
    float* first = cut ? beyond.data() : even;
    float* second = cut || !two ? beyond.data() + 2 * columns : odd;
    unfold(average + r * step, along, across, across + columns, first, second, columns);
    if (!cut) continue;
    std::copy_n(first, width, even);
    if (two) std::copy_n(second, width, odd);
  }
}

}  // namespace

void inverse_haar(const InverseHaarParams& p, int threads) {
  const int64_t size = p.rows * p.columns;
  parallel_for(p.planes, p.planes * size < kWorthThreads ? 1 : threads, [&](int64_t first, int64_t last) {
    std::vector<float> wide(p.levels > 1 ? size / 4 : 0), narrow(p.levels > 2 ? size / 16 : 0);
    for (int64_t plane = first; plane < last; ++plane) {
      const float *packed = p.packed + plane * size, *average = packed;
      int64_t step = p.columns;
      for (int64_t level = p.levels; level > 0; --level) {
        const int64_t rows = p.rows >> level, columns = p.columns >> level;
        if (level == 1) {
          widen(p, packed, average, step, rows, columns, p.out + plane * p.height * p.width, p.height, p.width);
          break;
        }
        float* next = (level % 2 ? narrow : wide).data();
        widen(p, packed, average, step, rows, columns, next, 2 * rows, 2 * columns);
        average = next, step = 2 * columns;
      }
    }
  });
}

}  // namespace pysmdl::cpu
