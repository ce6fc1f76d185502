// compose on a GPU: 16-byte stores, the inputs read once for kRows rows.
#include "../core/ops.h"
#include "launch.h"

namespace pysmdl::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 8;  // consecutive rows of one block: x, baseline and labels stay in registers for all of them

// The output as `planes` runs of `elements`: one run a channel, or a single run of points x channels when the channels
// lie side by side (channels-last); `per` is the number of elements a point takes in a run.
struct Layout {
  int32_t planes, elements, per;
  bool x_dense, baseline_dense, out_dense;  // runs of unit stride, aligned for vector access
};

template <typename T, int V>
struct alignas(sizeof(T) * V) Vector {
  T lane[V];
};

template <typename T, int V>
__device__ Vector<T, V> load(const T* base, bool dense, int32_t first, int32_t plane, const Layout& layout,
                             int64_t point_step, int64_t channel_step) {
  if (V > 1 && dense) {
    const int64_t offset = layout.per > 1 ? 0 : plane * channel_step;
    return *reinterpret_cast<const Vector<T, V>*>(base + offset + first);
  }
  Vector<T, V> value;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int32_t e = first + v;
    const int32_t point = e / layout.per, channel = layout.per > 1 ? e % layout.per : plane;
    value.lane[v] = e < layout.elements ? base[point * point_step + channel * channel_step] : T(0);
  }
  return value;
}

template <typename T, int V>
__device__ void store(T* row, const Vector<T, V>& value, int32_t first, int32_t plane, const Layout& layout,
                      const ComposeParams& p) {
  if (V > 1 && layout.out_dense) {
    const int64_t offset = layout.per > 1 ? 0 : plane * p.out_channel;
    *reinterpret_cast<Vector<T, V>*>(row + offset + first) = value;
    return;
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int32_t e = first + v;
    const int32_t point = e / layout.per, channel = layout.per > 1 ? e % layout.per : plane;
    if (e < layout.elements) row[point * p.out_point + channel * p.out_channel] = value.lane[v];
  }
}

template <typename T, int V>
__global__ void __launch_bounds__(kThreads) compose_kernel(ComposeParams p, Layout layout) {
  const int32_t first = (blockIdx.x * kThreads + threadIdx.x) * V;
  if (first >= layout.elements) return;
  const int64_t begin = static_cast<int64_t>(blockIdx.y) * kRows;
  const int count = static_cast<int>(min(static_cast<int64_t>(kRows), p.batch - begin));
  T* out = static_cast<T*>(p.out);

  for (int r = 0; r < count;) {
    const int32_t input = p.source[begin + r];
    int end = r + 1;
    while (end < count && p.source[begin + end] == input) ++end;
    if (input < 0 || input >= p.inputs) {  // padding
      const Vector<T, V> zero{};
      for (; r < end; ++r)
        for (int32_t c = 0; c < layout.planes; ++c) store<T, V>(out + (begin + r) * p.out_row, zero, first, c, layout, p);
      continue;
    }
    const int32_t* labels = p.labels + input * p.labels_input;
    int32_t label[V];
#pragma unroll
    for (int v = 0; v < V; ++v) label[v] = first + v < layout.elements ? labels[(first + v) / layout.per * p.labels_point] : -1;

    uint32_t shown[kRows];  // bit v: element v is kept
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      if (r + k >= end) break;
      const int32_t* row = p.rows + (begin + r + k) * p.words;
      uint32_t bits = 0;
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const int32_t l = label[v];
        const bool keep = l < 0 || (l < 32 * p.words && (static_cast<uint32_t>(row[l >> 5]) >> (l & 31) & 1u));
        bits |= static_cast<uint32_t>(keep) << v;
      }
      shown[k] = bits;
    }
    const T* x = static_cast<const T*>(p.x) + input * p.x_input;
    const T* baseline = static_cast<const T*>(p.baseline) + input * p.baseline_input;
    for (int32_t c = 0; c < layout.planes; ++c) {
      const auto kept = load<T, V>(x, layout.x_dense, first, c, layout, p.x_point, p.x_channel);
      const auto gone = load<T, V>(baseline, layout.baseline_dense, first, c, layout, p.baseline_point, p.baseline_channel);
#pragma unroll
      for (int k = 0; k < kRows; ++k) {
        if (r + k >= end) break;
        Vector<T, V> value;
#pragma unroll
        for (int v = 0; v < V; ++v) value.lane[v] = (shown[k] >> v & 1u) ? kept.lane[v] : gone.lane[v];
        store<T, V>(out + (begin + r + k) * p.out_row, value, first, c, layout, p);
      }
    }
    r = end;
  }
}

bool aligned(const void* pointer, int64_t row_step, int64_t channel_step, bool interleaved, int element_size, int width) {
  const bool strides = row_step % width == 0 && (interleaved || channel_step % width == 0);
  return strides && reinterpret_cast<uintptr_t>(pointer) % (element_size * width) == 0;
}

template <typename T, int V>
void launch(const ComposeParams& p, const Layout& layout, cudaStream_t stream) {
  const dim3 grid(blocks(layout.elements, kThreads * V), blocks(p.batch, kRows));
  compose_kernel<T, V><<<grid, kThreads, 0, stream>>>(p, layout);
}

}  // namespace

void compose(const ComposeParams& p, int device, void* stream) {
  if (p.batch == 0 || p.points == 0 || p.channels == 0) return;  // nothing to launch
  PYSMDL_CHECK(p.points * p.channels < (int64_t{1} << 31), "compose: an input of 2^31 elements or more is not supported");
  PYSMDL_CHECK(blocks(p.batch, kRows) <= 65535, "compose: at most ", 65535 * kRows, " rows in one launch, got ", p.batch);
  const DeviceGuard guard(device);
  const int width = 16 / p.element_size;
  const bool interleaved = p.channels > 1 && p.out_channel == 1 && p.out_point == p.channels;
  Layout layout{};
  layout.planes = interleaved ? 1 : static_cast<int32_t>(p.channels);
  layout.per = interleaved ? static_cast<int32_t>(p.channels) : 1;
  layout.elements = static_cast<int32_t>(p.points) * layout.per;
  const auto dense = [&](const void* data, int64_t row, int64_t channel, int64_t point) {
    const bool unit = interleaved ? channel == 1 && point == p.channels : point == 1;
    return unit && layout.elements % width == 0 && aligned(data, row, channel, interleaved, p.element_size, width);
  };
  layout.x_dense = dense(p.x, p.x_input, p.x_channel, p.x_point);
  layout.baseline_dense = dense(p.baseline, p.baseline_input, p.baseline_channel, p.baseline_point);
  layout.out_dense = dense(p.out, p.out_row, p.out_channel, p.out_point);

  const auto on = static_cast<cudaStream_t>(stream);
  if (p.element_size == 4) {
    if (layout.out_dense) launch<uint32_t, 4>(p, layout, on);
    else launch<uint32_t, 1>(p, layout, on);
  } else {
    if (layout.out_dense) launch<uint16_t, 8>(p, layout, on);
    else launch<uint16_t, 1>(p, layout, on);
  }
  PYSMDL_CUDA_CHECK(cudaGetLastError());
}

}  // namespace pysmdl::cuda
