// Stores that go to memory without reading the line that they overwrite, and leave the caches to others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace pysmdl::cpu {

// Copies past the caches; what is not aligned, through them.
inline void stream(const void* from, void* to, int64_t bytes) {
#ifdef __SSE2__
  const auto* source = static_cast<const char*>(from);
  auto* target = static_cast<char*>(to);
  const int64_t head = std::min<int64_t>(bytes, -reinterpret_cast<uintptr_t>(target) & 63);
  const int64_t body = (bytes - head) & ~int64_t{63};
  std::memcpy(target, source, head);
  for (int64_t i = head; i < head + body; i += 64)
    for (int64_t j = i; j < i + 64; j += 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(target + j), _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + j)));
  std::memcpy(target + head + body, source + head + body, bytes - head - body);
#else
  std::memcpy(to, from, bytes);
#endif
}

// What was streamed is in memory before anyone is told that it is done.
inline void settle_streams() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

}  // namespace pysmdl::cpu
