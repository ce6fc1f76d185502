// compose on the CPU: a select at memory speed.
//
// Rows of one input are taken up to 32 at a time and their bits transposed: shown[label] holds one bit per row, so a
// point's label is looked up once for the whole group. A tile of points stays in cache while every row
// of the group is written from it; the output is the only memory traffic. A batch that the last cache cannot hold is
// written past it: a plain store would read each line that it is about to overwrite.
#include <algorithm>
#include <vector>

#include "../core/ops.h"
#include "../core/parallel.h"
#include "../core/simd.h"
#include "select.h"

namespace pysmdl::cpu {
namespace {

constexpr int64_t kTile = 2048, kSmallTile = 1024;  // points of one channel: input and bits fit the first cache
constexpr int kGroup = 32;                          // rows that share a tile: the bits of one word
constexpr int64_t kPastCaches = 16 << 20;   // bytes written beyond which the last cache (32 MiB, shared) keeps too few
constexpr int64_t kWorthThreads = 1 << 18;  // bytes written below which waking a thread costs more than it saves

// One row's run, through the caches or past them.
template <typename T>
inline void select_run(const T* x, const T* baseline, bool constant, const uint32_t* shown, int row, bool past_caches,
                       T* out, int64_t n) {
  if (past_caches) stream_select(x, baseline, constant, shown, row, out, n);
  else select(x, baseline, constant, shown, row, out, n);
}
PYSMDL_SIMD void select_row(const uint32_t* x, const uint32_t* baseline, bool constant, const uint32_t* shown, int row,
                            bool past_caches, uint32_t* out, int64_t n) {
  select_run(x, baseline, constant, shown, row, past_caches, out, n);
}
PYSMDL_SIMD void select_row(const uint16_t* x, const uint16_t* baseline, bool constant, const uint32_t* shown, int row,
                            bool past_caches, uint16_t* out, int64_t n) {
  select_run(x, baseline, constant, shown, row, past_caches, out, n);
}
PYSMDL_SIMD void select_row(const uint64_t* x, const uint64_t* baseline, bool constant, const uint32_t* shown, int row,
                            bool past_caches, uint64_t* out, int64_t n) {
  select_run(x, baseline, constant, shown, row, past_caches, out, n);
}

// The rows that show each label: bit r of of_label[label] for row r. All show what is negative, none what is beyond.
struct Table {
  const uint32_t* of_label;
  uint32_t beyond;

  uint32_t operator[](int32_t label) const {
    const auto region = static_cast<uint32_t>(label);
    return region < beyond ? of_label[region] : label < 0 ? ~0u : 0u;
  }
};

// shown[i]: the rows that show point i.
void look_up(Table table, const int32_t* __restrict labels, uint32_t* __restrict shown, int64_t n) {
  for (int64_t i = 0; i < n; ++i) shown[i] = table[labels[i]];
}

struct alignas(64) Line {  // of the cache: what is read by whole lines should begin with one
  uint32_t words[16];
};

struct Group {
  int64_t first, count, input;  // rows [first, first + count) of the batch, all of one input
};

std::vector<Group> groups_of(const ComposeParams& p) {
  std::vector<Group> groups;
  for (int64_t b = 0; b < p.batch; ++b) {
    const bool grows = !groups.empty() && groups.back().input == p.source[b] && groups.back().count < kGroup;
    if (grows) ++groups.back().count;
    else groups.push_back({b, 1, p.source[b]});
  }
  return groups;
}

// of_label[label]: bit r set where row first + r shows that label.
void transpose_bits(const ComposeParams& p, const Group& g, uint32_t* of_label) {
  for (int64_t r = 0; r < g.count; ++r) {
    for (int64_t w = 0; w < p.words; ++w) {
      uint32_t word = static_cast<uint32_t>(p.rows[(g.first + r) * p.words + w]);
      for (; word; word &= word - 1) of_label[32 * w + __builtin_ctz(word)] |= 1u << r;
    }
  }
}

// One tile of one group, laid out as the output is: one run per channel, or, where the output has its channels side by
// side (channels-last), a single run of points x channels. What lies that way already is read in place, the rest is
// copied into the tile once for all rows of the group.
template <typename T>
class Tile {
 public:
  Tile(const ComposeParams& p, int64_t points, bool past_caches)
      : p_(p),
        points_(points),
        interleaved_(p.channels > 1 && p.out_channel == 1 && p.out_point == p.channels),
        runs_(interleaved_ ? 1 : p.channels),
        per_(interleaved_ ? p.channels : 1),
        x_(p.x_channel, p.x_point, false, *this),
        baseline_(p.baseline_channel, p.baseline_point, p.baseline_point == 0, *this),
        lines_(points * per_ / 16 + 1),
        shown_(lines_.data()->words),
        past_caches_(past_caches) {}

  void write(const Group& g, Table table, int64_t begin, int64_t n) {
    T* out = static_cast<T*>(p_.out) + g.first * p_.out_row + begin * p_.out_point;
    if (g.input < 0) {
      for (int64_t r = 0; r < g.count; ++r) clear(out + r * p_.out_row, n);
      return;
    }
    load_shown(g, table, begin, n);
    for (int64_t c = 0; c < runs_; ++c) {
      const T* x = x_.run(static_cast<const T*>(p_.x) + g.input * p_.x_input, c, begin, n);
      const T* baseline = baseline_.run(static_cast<const T*>(p_.baseline) + g.input * p_.baseline_input, c, begin, n);
      for (int64_t r = 0; r < g.count; ++r) {
        T* row = out + r * p_.out_row + (interleaved_ ? 0 : c * p_.out_channel);
        if (interleaved_ || p_.out_point == 1) {
          select_row(x, baseline, baseline_.constant, shown_, static_cast<int>(r), past_caches_, row, n * per_);
        } else {
          for (int64_t i = 0; i < n; ++i)
            row[i * p_.out_point] = (shown_[i] >> r & 1) ? x[i] : baseline[baseline_.constant ? 0 : i];
        }
      }
    }
  }

 private:
  // x or baseline as runs of unit stride, or (the baseline) of one value.
  struct Operand {
    Operand(int64_t channel_step, int64_t point_step, bool one_value, const Tile& tile)
        : channel(channel_step),
          point(point_step),
          per(tile.per_),
          constant(!tile.interleaved_ && one_value),
          in_place(tile.interleaved_ ? channel_step == 1 && point_step == tile.per_ : constant || point_step == 1),
          buffer(in_place ? 0 : tile.points_ * tile.per_) {}

    const T* run(const T* input, int64_t c, int64_t begin, int64_t n) {
      const T* from = input + begin * point + (per > 1 ? 0 : c * channel);
      if (in_place) return from;
      for (int64_t j = 0; j < per; ++j)
        for (int64_t i = 0; i < n; ++i) buffer[i * per + j] = from[i * point + j * channel];
      return buffer.data();
    }

    const int64_t channel, point, per;
    const bool constant, in_place;
    std::vector<T> buffer;
  };

  void clear(T* row, int64_t n) const {
    for (int64_t c = 0; c < p_.channels; ++c)
      for (int64_t i = 0; i < n; ++i) row[c * p_.out_channel + i * p_.out_point] = 0;
  }

  void load_shown(const Group& g, Table table, int64_t begin, int64_t n) {
    const int32_t* labels = p_.labels + g.input * p_.labels_input + begin * p_.labels_point;
    if (p_.labels_point == 1 && per_ == 1) {
      look_up(table, labels, shown_, n);
      return;
    }
    for (int64_t i = 0; i < n; ++i) std::fill_n(&shown_[i * per_], per_, table[labels[i * p_.labels_point]]);
  }

  const ComposeParams& p_;
  const int64_t points_;
  const bool interleaved_;
  const int64_t runs_, per_;
  Operand x_, baseline_;
  std::vector<Line> lines_;
  uint32_t* const shown_;  // bit r of each element: row r shows it
  const bool past_caches_;
};

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Points of a tile: all alike, and enough tiles for the threads.
int64_t tile_points(int64_t points, int64_t groups, int threads) {
  const int64_t shared_out = std::min(ceil_div(points, kSmallTile), ceil_div(2 * int64_t{threads}, groups));
  return 16 * ceil_div(ceil_div(points, std::max({int64_t{1}, ceil_div(points, kTile), shared_out})), 16);
}

// A large batch, and a smaller one that is written where the one before went past the caches: its lines are in none of
// them, and to read them first takes three times as long.
bool goes_past_caches(const void* out, int64_t bytes) {
  thread_local const void* streamed = nullptr;
  const bool large = bytes > kPastCaches, lies_there = out == streamed;
  streamed = large ? out : nullptr;
  return large || lies_there;
}

template <typename T>
void run(const ComposeParams& p, int threads) {
  const std::vector<Group> groups = groups_of(p);
  const int64_t tile = tile_points(p.points, static_cast<int64_t>(groups.size()), threads);
  const int64_t tiles = ceil_div(p.points, tile);
  const int64_t labels = 32 * p.words;
  std::vector<uint32_t> shown(groups.size() * labels);
  for (size_t g = 0; g < groups.size(); ++g) transpose_bits(p, groups[g], shown.data() + g * labels);

  const int64_t bytes = p.batch * p.channels * p.points * static_cast<int64_t>(sizeof(T));
  const bool past_caches = can_stream() && goes_past_caches(p.out, bytes);
  parallel_for(static_cast<int64_t>(groups.size()) * tiles, bytes < kWorthThreads ? 1 : threads,
               [&](int64_t first, int64_t last) {
                 Tile<T> writer(p, tile, past_caches);
                 for (int64_t unit = first; unit < last; ++unit) {
                   const int64_t g = unit / tiles, begin = unit % tiles * tile;
                   const Table table{shown.data() + g * labels, static_cast<uint32_t>(labels)};
                   writer.write(groups[g], table, begin, std::min(tile, p.points - begin));
                 }
                 settle_streams();
               });
}

}  // namespace

void compose(const ComposeParams& params, int threads) {
  if (params.batch == 0 || params.points == 0 || params.channels == 0) return;  // nothing to write
  if (params.element_size == 8) run<uint64_t>(params, threads);
  else if (params.element_size == 4) run<uint32_t>(params, threads);
  else run<uint16_t>(params, threads);
}

}  // namespace pysmdl::cpu
