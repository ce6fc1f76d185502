// The select that compose is made of: through the caches, or past them.
#pragma once

#include <algorithm>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
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

#ifdef __SSE2__

// All ones in each lane whose point has `bit` set: of 4 points.
inline __m128i lanes_with(const uint32_t* shown, __m128i bit) {
  return _mm_cmpeq_epi32(_mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(shown)), bit), bit);
}
inline __m128i mask_for(const uint32_t*, const uint32_t* shown, __m128i bit) { return lanes_with(shown, bit); }
inline __m128i mask_for(const uint16_t*, const uint32_t* shown, __m128i bit) {  // of 8 points, in half the width
  return _mm_packs_epi32(lanes_with(shown, bit), lanes_with(shown + 4, bit));
}
inline __m128i in_all_lanes(uint32_t value) { return _mm_set1_epi32(static_cast<int>(value)); }
inline __m128i in_all_lanes(uint16_t value) { return _mm_set1_epi16(static_cast<short>(value)); }

// select() with stores that do not read the line that they overwrite, and leave the caches to others.
template <typename T>
inline void stream_select(const T* x, const T* baseline, bool constant, const uint32_t* shown, int row, T* out,
                          int64_t n) {
  constexpr int64_t kLane = 16 / sizeof(T), kLine = 64 / sizeof(T);
  const int64_t head = std::min<int64_t>(n, (-reinterpret_cast<uintptr_t>(out) & 63) / sizeof(T));
  const int64_t tail = head + (n - head) / kLine * kLine;
  const __m128i bit = in_all_lanes(1u << row), value = in_all_lanes(*baseline);
  const auto load = [](const T* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  select(x, baseline, constant, shown, row, out, head);
  for (int64_t line = head; line < tail; line += kLine) {
    for (int64_t p = line; p < line + kLine; p += kLane) {
      const __m128i mask = mask_for(x, shown + p, bit), gone = constant ? value : load(baseline + p);
      _mm_stream_si128(reinterpret_cast<__m128i*>(out + p),
                       _mm_or_si128(_mm_and_si128(mask, load(x + p)), _mm_andnot_si128(mask, gone)));
    }
  }
  select(x + tail, baseline + (constant ? 0 : tail), constant, shown + tail, row, out + tail, n - tail);
}

// What was streamed is in memory before anyone is told that it is done.
inline void settle_streams() { _mm_sfence(); }

#else

template <typename T>
inline void stream_select(const T* x, const T* baseline, bool constant, const uint32_t* shown, int row, T* out,
                          int64_t n) {
  select(x, baseline, constant, shown, row, out, n);
}
inline void settle_streams() {}

#endif

}  // namespace pysmdl::cpu
