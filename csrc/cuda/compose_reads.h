// What a thread of compose reads: V elements of x and of baseline, and which rows keep them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace pysmdl::cuda {

constexpr int kThreads = 256;  // of a block
constexpr int kRows = 8;       // of a block, a bit of a byte each: x and baseline stay in registers for all of them

// The output as `planes` runs of `elements`: one run a channel, or a single run of points x channels when the channels
// lie side by side (channels-last); `per` is the number of elements a point takes in a run.
struct Layout {
  int32_t planes, elements, per;
  bool x_unit, baseline_unit;  // runs of unit stride

  __device__ bool holds(int32_t element) const { return static_cast<uint32_t>(element) < uint32_t(elements); }
  __device__ bool holds(int32_t first, int count) const { return first >= 0 && first <= elements - count; }
};

// V elements in 32-bit words.
template <typename T, int V>
struct alignas(V > 1           ? 16
               : sizeof(T) > 4 ? 8
                               : 4) Packed {
  static constexpr int kWords = V > 1 ? 4 : sizeof(T) > 4 ? 2 : 1;
  uint32_t word[kWords];

  __device__ T lane(int v) const {
    if constexpr (sizeof(T) == 8) return T{word[2 * v + 1]} << 32 | word[2 * v];
    else return static_cast<T>(word[v * sizeof(T) / 4] >> v * sizeof(T) % 4 * 8);
  }
  __device__ void add(int v, T value) {
    if constexpr (sizeof(T) == 8) word[2 * v] = static_cast<uint32_t>(value), word[2 * v + 1] = value >> 32;
    else word[v * sizeof(T) / 4] |= uint32_t{value} << v * sizeof(T) % 4 * 8;
  }
};

// A run of any strides, one element after the other.
template <typename T>
struct Walk {
  T* at;
  int32_t channel, per;
  int64_t within, across;  // steps within a point and to the next one

  __device__ Walk(T* run, int32_t first, int32_t per, int64_t point_step, int64_t channel_step)
      : at(run + first / per * point_step + first % per * channel_step),
        channel(first % per),
        per(per),
        within(channel_step),
        across(point_step - (per - 1) * channel_step) {}

  __device__ void next() {
    const bool last = ++channel == per;
    at += last ? across : within;
    if (last) channel = 0;
  }
};

// 16 bytes from any element on: aligned words, of which the first and the last may hold a neighbour too.
template <typename T, int V>
__device__ Packed<T, V> load_unit(const T* first) {
  const auto address = reinterpret_cast<uintptr_t>(first);
  if (address % 16 == 0) return *reinterpret_cast<const Packed<T, V>*>(address);
  const auto* words = reinterpret_cast<const uint32_t*>(address & ~uintptr_t{3});
  const uint32_t before = address % 4 * 8;  // bits of the neighbour in the first word
  const uint32_t w[] = {words[0], words[1], words[2], words[3], before ? words[4] : 0};
  return {__funnelshift_r(w[0], w[1], before), __funnelshift_r(w[1], w[2], before), __funnelshift_r(w[2], w[3], before),
          __funnelshift_r(w[3], w[4], before)};
}

// V elements of x or baseline; those beyond the ends of the run are anything.
template <typename T, int V>
__device__ Packed<T, V> load(const T* run, bool unit, int32_t first, const Layout& layout, int64_t point_step,
                             int64_t channel_step) {
  if constexpr (V > 1)
    if (unit && layout.holds(first, V)) return load_unit<T, V>(run + first);
  Packed<T, V> value{};
  const bool constant = layout.per == 1 && point_step == 0;
  if (constant) {
    const T only = *run;
#pragma unroll
    for (int v = 0; v < V; ++v) value.add(v, only);
    return value;
  }
  Walk<const T> walk(run, first, layout.per, point_step, channel_step);
#pragma unroll
  for (int v = 0; v < V; ++v, walk.next())
    if (layout.holds(first + v)) value.add(v, *walk.at);
  return value;
}

// Which rows keep which elements: bit k of byte v is row k, element v.
template <int N>
struct Kept {
  static constexpr int kWords = (N + 3) / 4;
  uint32_t word[kWords];

  __device__ void add(int v, uint32_t byte) { word[v / 4] |= byte << v % 4 * 8; }

  template <int V>
  __device__ Kept<V> from(int offset) const {  // V bytes; 0 <= offset < V
    const auto at = [&](int j) { return j < kWords ? word[j] : 0; };
    const bool far = offset >= 4;
    Kept<V> bytes;
#pragma unroll
    for (int j = 0; j < Kept<V>::kWords; ++j)
      bytes.word[j] = __funnelshift_r(far ? at(j + 1) : at(j), far ? at(j + 2) : at(j + 1), 8 * offset);
    return bytes;
  }
};

constexpr int32_t kTableWords = 128;  // of a row's bits: regions beyond them take another round

// A byte per region: bit k is set where row k keeps it. By the whole block.
__device__ inline void tabulate(const int32_t* rows, int64_t row_step, int count, int32_t words, uint32_t* table) {
  for (int i = threadIdx.x; i < 8 * words; i += kThreads) {  // four regions each
    uint32_t four = 0;
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const uint32_t bits = k < count ? static_cast<uint32_t>(rows[k * row_step + i / 8]) >> i % 8 * 4 & 0xf : 0;
      four |= (bits * 0x00204081 & 0x01010101) << k;  // bit j of the four to the end of byte j
    }
    table[i] = four;
  }
}

// Elements from `first` on in `count` rows. By the whole block.
template <int N>
__device__ Kept<N> look_up(const int32_t* labels, int64_t labels_point, int32_t first, const int32_t* rows,
                           int64_t row_step, int count, int64_t words, const Layout& layout) {
  __shared__ uint32_t table[8 * kTableWords];
  int32_t label[N];
  Kept<N> kept{};
  Walk<const int32_t> walk(labels, first, layout.per, labels_point, 0);
#pragma unroll
  for (int v = 0; v < N; ++v, walk.next()) label[v] = layout.holds(first + v) ? *walk.at : -1;

  const auto named = static_cast<int32_t>(min(words, int64_t{1} << 26));  // words that a label can name
  for (int32_t word = 0; word < named; word += kTableWords) {
    const int32_t size = min(kTableWords, named - word);
    __syncthreads();  // the table before was read by all
    tabulate(rows + word, row_step, count, size, table);
    __syncthreads();
#pragma unroll
    for (int v = 0; v < N; ++v) {
      const uint32_t region = static_cast<uint32_t>(label[v]) - 32u * word;
      if (region < 32u * size) kept.add(v, reinterpret_cast<const uint8_t*>(table)[region]);
    }
  }
#pragma unroll
  for (int v = 0; v < N; ++v) kept.add(v, label[v] < 0 ? 0xff : 0);
  return kept;
}

}  // namespace pysmdl::cuda
