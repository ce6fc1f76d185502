// compose on a GPU: 16-byte stores, the inputs read once for kRows rows.
//
// A thread writes V elements of each plane in each row of its block. Where runs begin anywhere (Skewed), those V lie
// between two 16-byte boundaries: they begin `skew` elements before a multiple of V, and the skew depends on the plane
// and on the row modulo V. So a block takes every V-th row: its planes have one skew each, and x and baseline stay in
// registers as they do where all is aligned. Labels are looked up once for the skews of all planes.
#include "../core/ops.h"
#include "compose_reads.h"
#include "launch.h"

namespace pysmdl::cuda {
namespace {

constexpr int64_t kMostRows = 65528 * kRows;  // of a launch: at most 65535 blocks along y, a multiple of V
constexpr int64_t kMostElements = (int64_t{1} << 31) - 16 * kThreads;  // of an input: the last block's fit int32

// All bits alike in each byte of the result: the highest bit of the byte of `bytes` which a digit of `selector` names.
__device__ uint32_t spread(uint32_t bytes, uint32_t selector) {
  uint32_t mask;
  asm("prmt.b32 %0, %1, 0, %2;" : "=r"(mask) : "r"(bytes), "r"(0x8888 | selector));
  return mask;
}

// One thread's part of a plane in `count` rows; Whole: all V elements are the run's, and at a 16-byte boundary.
template <bool Whole, typename T, int V>
__device__ void write(T* at, int64_t row_step, int count, const Packed<T, V>& x, const Packed<T, V>& baseline,
                      const Kept<V>& kept, int32_t first, const Layout& layout) {
  for (int k = 0; k < count; ++k, at += row_step) {
    Packed<T, V> value;
#pragma unroll
    for (int j = 0; j < value.kWords; ++j) {
      const int low = j * 4 / sizeof(T), high = (j * 4 + 2) / sizeof(T);  // the elements of the word's halves
      const uint32_t mask = spread(kept.word[low / 4] << (7 - k), low % 4 * 0x11 + high % 4 * 0x1100);
      value.word[j] = (x.word[j] & mask) | (baseline.word[j] & ~mask);
    }
    if constexpr (Whole) {
      *reinterpret_cast<Packed<T, V>*>(at) = value;
    } else {
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (layout.holds(first + v)) at[v] = value.lane(v);
    }
  }
}

template <typename T, int V, bool Skewed>
__global__ void __launch_bounds__(kThreads) compose_kernel(ComposeParams p, Layout layout) {
  constexpr int kStep = Skewed ? V : 1;      // rows of a block are this far apart
  constexpr int kLead = Skewed ? V - 1 : 0;  // the largest skew
  const auto unskewed = static_cast<int32_t>((blockIdx.x * kThreads + threadIdx.x) * V);
  const int64_t begin = static_cast<int64_t>(blockIdx.y / kStep) * (kStep * kRows) + blockIdx.y % kStep;
  const int count = static_cast<int>(min(static_cast<int64_t>(kRows), (p.batch - begin + kStep - 1) / kStep));
  const int lane = threadIdx.x % 32;  // of the warp

  for (int r = 0; r < count;) {
    const int64_t row = begin + r * kStep;
    const int32_t* source = p.source + row;
    const int32_t input = *source;
    const bool other = lane >= count - r || source[lane * kStep] != input;
    const int same = __ffs(__ballot_sync(~0u, other)) - 1;  // rows of this input
    r += same;
    const bool padding = input < 0 || input >= p.inputs;
    Kept<V + kLead> window{};
    if (!padding)
      window = look_up<V + kLead>(p.labels + input * p.labels_input, p.labels_point, unskewed - kLead,
                                  p.rows + row * p.words, kStep * p.words, same, p.words, layout);
    if (unskewed >= layout.elements + kLead) continue;  // not return: others wait for the whole block
    for (int32_t c = 0; c < layout.planes; ++c) {
      T* run = static_cast<T*>(p.out) + row * p.out_row + c * p.out_channel;
      const int32_t skew = Skewed ? static_cast<int32_t>(reinterpret_cast<uintptr_t>(run) / sizeof(T) % V) : 0;
      const int32_t first = unskewed - skew;
      const Kept<V> kept = window.template from<V>(kLead - skew);
      Packed<T, V> x{}, baseline{};
      if (!padding) {
        x = load<T, V>(static_cast<const T*>(p.x) + input * p.x_input + c * p.x_channel, layout.x_unit, first, layout,
                       p.x_point, p.x_channel);
        baseline = load<T, V>(static_cast<const T*>(p.baseline) + input * p.baseline_input + c * p.baseline_channel,
                              layout.baseline_unit, first, layout, p.baseline_point, p.baseline_channel);
      }
      const int64_t step = kStep * p.out_row;
      if constexpr (V == 1) {
        T* at = Walk<T>(run, first, layout.per, p.out_point, p.out_channel).at;
        write<false>(at, step, same, x, baseline, kept, first, layout);
      } else if (!Skewed || layout.holds(first, V)) {
        write<true>(run + first, step, same, x, baseline, kept, first, layout);
      } else {
        write<false>(run + first, step, same, x, baseline, kept, first, layout);
      }
    }
  }
}

template <typename T, int V, bool Skewed>
void launch(const ComposeParams& p, const Layout& layout, cudaStream_t stream) {
  constexpr int kStep = Skewed ? V : 1, kLead = Skewed ? V - 1 : 0;
  const dim3 grid(blocks(layout.elements + kLead, kThreads * V), blocks(p.batch, kStep * kRows) * kStep);
  compose_kernel<T, V, Skewed><<<grid, kThreads, 0, stream>>>(p, layout);
}

template <typename T>
void launch(const ComposeParams& p, cudaStream_t stream) {
  constexpr int V = 16 / sizeof(T);
  const bool interleaved = p.channels > 1 && p.out_channel == 1 && p.out_point == p.channels;
  const auto unit = [&](int64_t channel, int64_t point) {
    return interleaved ? channel == 1 && point == p.channels : point == 1;
  };
  Layout layout{};
  layout.planes = interleaved ? 1 : static_cast<int32_t>(p.channels);
  layout.per = interleaved ? static_cast<int32_t>(p.channels) : 1;
  layout.elements = static_cast<int32_t>(p.points) * layout.per;
  layout.x_unit = unit(p.x_channel, p.x_point);
  layout.baseline_unit = unit(p.baseline_channel, p.baseline_point);

  const bool strides = p.out_row % V == 0 && (layout.planes == 1 || p.out_channel % V == 0);
  const bool aligned = strides && layout.elements % V == 0 && reinterpret_cast<uintptr_t>(p.out) % 16 == 0;
  if (!unit(p.out_channel, p.out_point)) launch<T, 1, false>(p, layout, stream);
  else if (aligned) launch<T, V, false>(p, layout, stream);
  else launch<T, V, true>(p, layout, stream);
}

}  // namespace

void compose(const ComposeParams& p, int device, void* stream) {
  if (p.batch == 0 || p.points == 0 || p.channels == 0) return;  // nothing to launch
  const int64_t elements = p.points * p.channels;
  PYSMDL_CHECK(elements <= kMostElements, "compose: at most ", kMostElements, " elements in an input, got ", elements);
  PYSMDL_CHECK(p.batch <= kMostRows, "compose: at most ", kMostRows, " rows in one launch, got ", p.batch);
  const DeviceGuard guard(device);
  const auto on = static_cast<cudaStream_t>(stream);
  if (p.element_size == 8) launch<uint64_t>(p, on);
  else if (p.element_size == 4) launch<uint32_t>(p, on);
  else launch<uint16_t>(p, on);
  PYSMDL_CUDA_CHECK(cudaGetLastError());
}

}  // namespace pysmdl::cuda
