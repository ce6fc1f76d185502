// pack_tokens on the CPU: rows are copied side by side, token by token.
#include <atomic>
#include <cstring>

#include "../core/check.h"
#include "../core/ops.h"
#include "../core/parallel.h"

namespace pysmdl::cpu {
namespace {

bool keeps(const PackTokensParams& p, int64_t b, int32_t label) {
  if (label < 0) return true;
  return label < 32 * p.words && (static_cast<uint32_t>(p.rows[b * p.words + label / 32]) >> label % 32 & 1u);
}

// Copies what row b keeps, as far as its offsets leave room; returns how many tokens that is in all.
int64_t pack_row(const PackTokensParams& p, int64_t b) {
  const int64_t first = p.source[b] * p.tokens;
  int64_t place = p.offsets[b];
  const volatile int32_t* labels = p.labels;  // read once each: another thread may be writing to them
  for (int64_t t = first; t < first + p.tokens; ++t) {
    if (!keeps(p, b, labels[t])) continue;
    if (place < p.offsets[b + 1] && p.token_bytes > 0)
      std::memcpy(p.out + place * p.token_bytes, p.x + t * p.token_bytes, p.token_bytes);
    ++place;
  }
  return place - p.offsets[b];
}

}  // namespace

void pack_tokens(const PackTokensParams& p, int threads) {
  const int64_t used = p.offsets[p.batch];
  std::atomic<int64_t> miscounted{-1};
  parallel_for(p.batch, used * p.token_bytes < (1 << 16) ? 1 : threads, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b)
      if (pack_row(p, b) != p.offsets[b + 1] - p.offsets[b]) miscounted = b;
  });
  const int64_t b = miscounted;
  PYSMDL_CHECK(b < 0, "offsets give row ", b, " room for ", p.offsets[b + 1] - p.offsets[b], " tokens, it keeps ",
               pack_row(p, b));
  if (used < p.room && p.token_bytes > 0) std::memset(p.out + used * p.token_bytes, 0, (p.room - used) * p.token_bytes);
}

}  // namespace pysmdl::cpu
