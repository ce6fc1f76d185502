// The select that compose is made of: through the caches, or past them.
#pragma once

#include <algorithm>
#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define PYSMDL_AVX2 __attribute__((target("avx2")))
#endif

namespace pysmdl::cpu {

// out = bit `row` of shown ? x : baseline, on raw words. `constant`: the baseline is one value.
template <typename T>
inline void select(const T* __restrict x, const T* __restrict baseline, bool constant, const uint32_t* __restrict shown,
                   int row, T* __restrict out, int64_t n) {
  const uint32_t bit = 1u << row;
  if (constant) {
    const T value = *baseline;
    for (int64_t p = 0; p < n; ++p) {
      const T kept = x[p];  // read before the choice: a load that may not happen cannot be vectorised
      out[p] = (shown[p] & bit) ? kept : value;
    }
  } else {
    for (int64_t p = 0; p < n; ++p) {
      const T kept = x[p], gone = baseline[p];
      out[p] = (shown[p] & bit) ? kept : gone;
    }
  }
}

#ifdef PYSMDL_AVX2

// All ones in each lane whose point has `bit` set: of 8 points.
PYSMDL_AVX2 inline __m256i lanes_with(const uint32_t* shown, __m256i bit) {
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(shown)), bit), bit);
}
PYSMDL_AVX2 inline __m256i mask_for(const uint32_t*, const uint32_t* shown, __m256i bit) {
  return lanes_with(shown, bit);
}
PYSMDL_AVX2 inline __m256i mask_for(const uint16_t*, const uint32_t* shown, __m256i bit) {  // of 16, in half the width
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(lanes_with(shown, bit), lanes_with(shown + 8, bit)), 0xD8);
}
PYSMDL_AVX2 inline __m256i mask_for(const uint64_t*, const uint32_t* shown, __m256i bit) {  // of 4, in twice the width
  const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(shown)), low = _mm256_castsi256_si128(bit);
  return _mm256_cvtepi32_epi64(_mm_cmpeq_epi32(_mm_and_si128(four, low), low));
}
PYSMDL_AVX2 inline __m256i in_all_lanes(uint64_t value) { return _mm256_set1_epi64x(static_cast<long long>(value)); }
PYSMDL_AVX2 inline __m256i in_all_lanes(uint32_t value) { return _mm256_set1_epi32(static_cast<int>(value)); }
PYSMDL_AVX2 inline __m256i in_all_lanes(uint16_t value) { return _mm256_set1_epi16(static_cast<short>(value)); }
PYSMDL_AVX2 inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

// select() with stores that do not read the line that they overwrite, and leave the caches to others. 32 bytes each:
// by 16, a core reached 30 GB/s, by 32 or 64 it reaches 50.
template <typename T>
PYSMDL_AVX2 inline void stream_select(const T* x, const T* baseline, bool constant, const uint32_t* shown, int row,
                                      T* out, int64_t n) {
  constexpr int64_t kLane = 32 / sizeof(T), kLine = 64 / sizeof(T);
  const int64_t head = std::min<int64_t>(n, (-reinterpret_cast<uintptr_t>(out) & 63) / sizeof(T));
  const int64_t tail = head + (n - head) / kLine * kLine;
  const __m256i bit = in_all_lanes(1u << row), value = in_all_lanes(*baseline);
  select(x, baseline, constant, shown, row, out, head);
  for (int64_t p = head; p < tail; p += kLane) {
    const __m256i mask = mask_for(x, shown + p, bit), gone = constant ? value : load(baseline + p);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(out + p), _mm256_blendv_epi8(gone, load(x + p), mask));
  }
  select(x + tail, baseline + (constant ? 0 : tail), constant, shown + tail, row, out + tail, n - tail);
}

inline bool can_stream() { return __builtin_cpu_supports("avx2"); }
// What was streamed is in memory before anyone is told that it is done.
inline void settle_streams() { _mm_sfence(); }

#else

template <typename T>
inline void stream_select(const T* x, const T* baseline, bool constant, const uint32_t* shown, int row, T* out,
                          int64_t n) {
  select(x, baseline, constant, shown, row, out, n);
}
inline bool can_stream() { return false; }
inline void settle_streams() {}

#endif

}  // namespace pysmdl::cpu
