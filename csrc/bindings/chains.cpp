// The guided search's surrogate over NumPy arrays: its factor, and chains under it. The GIL is released while they
// work, so what is used as an index is copied first: another thread may write to the arrays.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include <pybind11/stl.h>

#include "../core/chain.h"
#include "../core/check.h"
#include "../core/cholesky.h"
#include "arrays.h"
#include "launch.h"
#include "register.h"

namespace py = pybind11;

namespace pysmdl {
namespace {

constexpr int64_t kMostWeight = INT16_MAX;  // of all regions: differences are int16
constexpr double kLeastReach = 0.05;        // neighbours are found by multiplying, which would leave float32 below

double number(py::handle fitted, const char* name) {
  const double found = PyFloat_AsDouble(py::object(fitted.attr(name)).ptr());
  if (PyErr_Occurred()) throw py::error_already_set();
  PYSMDL_CHECK(std::isfinite(found), name, " must be finite, got ", found);
  return found;
}

// A copy of surrogate.Fitted, checked.
class Fitted {
 public:
  explicit Fitted(py::handle given) {
    const Array<int8_t> flip(given.attr("flip"));
    PYSMDL_CHECK(flip.ndim() == 2 && flip.shape(0) > 0, "flip must be int8 [n, count] with n at least 1");
    const int64_t n = flip.shape(0), count = flip.shape(1);
    flip_.assign(flip.data(), flip.data() + flip.size());
    surrogate.n = n, surrogate.count = count, surrogate.span = count ? weight_of_all(n, count) : 1;
    pull_ = numbers(given, "pull", count, "subset");
    effect_ = numbers(given, "effect", n, "region"), area_ = numbers(given, "area", n, "region");
    const double reach = number(given, "reach");
    PYSMDL_CHECK(reach >= kLeastReach, "reach must be at least ", kLeastReach, ", got ", reach);
    surrogate.flip = flip_.data(), surrogate.pull = pull_.data();
    surrogate.effect = effect_.data(), surrogate.area = area_.data();
    surrogate.smooth = number(given, "smooth"), surrogate.reach = reach;
    surrogate.offset = number(given, "offset"), surrogate.soft = number(given, "soft");
    surrogate.kept = number(given, "kept"), surrogate.removed = number(given, "removed");
    surrogate.bounded = number(given, "bounded") != 0;
  }
  Fitted(const Fitted&) = delete;
  Fitted& operator=(const Fitted&) = delete;

  Surrogate surrogate{};

 private:
  static std::vector<double> numbers(py::handle given, const char* name, int64_t count, const char* of) {
    const Array<double> array(given.attr(name));
    PYSMDL_CHECK(array.ndim() == 1 && array.shape(0) == count, name, " must be [", count, "], one a ", of);
    std::vector<double> found(array.data(), array.data() + count);
    for (const double each : found) PYSMDL_CHECK(std::isfinite(each), name, " must be finite, got ", each);
    return found;
  }

  // A region weighs the same whichever subset has it, or differences would leave 0 .. span.
  int64_t weight_of_all(int64_t n, int64_t count) const {
    int64_t span = 0;
    for (int64_t x = 0; x < n; ++x) {
      const int8_t* row = flip_.data() + x * count;
      int others = 0;
      for (int64_t t = 0; t < count; ++t) others |= std::abs(row[t]) ^ std::abs(row[0]);
      for (int64_t t = 0; others && t < count; ++t)
        PYSMDL_CHECK(std::abs(row[t]) == std::abs(row[0]), "flips of region ", x, " must be plus or minus ",
                     std::abs(row[0]), ", got ", int{row[t]});
      span += std::abs(row[0]);
    }
    PYSMDL_CHECK(0 < span && span <= kMostWeight, "flips of a subset must add up to 1 to ", kMostWeight, ", got ",
                 span);
    return span;
  }

  std::vector<int8_t> flip_;
  std::vector<double> pull_, effect_, area_;
};

// What the flips of each measured subset add up to. [count].
std::vector<int32_t> weights(const int8_t* flip, int64_t n, int64_t count) {
  std::vector<int32_t> weight(count, 0);
  for (int64_t x = 0; x < n; ++x)
    for (int64_t t = 0; t < count; ++t) weight[t] += std::abs(flip[x * count + t]);
  return weight;
}

Array<int16_t> differing(const Array<int8_t>& flip, const Array<bool>& member) {
  PYSMDL_CHECK(flip.ndim() == 2, "flip must be int8 [n, count]");
  PYSMDL_CHECK(member.ndim() == 2 && member.shape(1) == flip.shape(0), "member must be bool [a, ", flip.shape(0), "]");
  const int64_t n = flip.shape(0), count = flip.shape(1), rows = member.shape(0);
  const int8_t* from = flip.data();
  for (const int32_t each : weights(from, n, count))
    PYSMDL_CHECK(each <= kMostWeight, "flips of a subset must add up to at most ", kMostWeight, ", got ", each);
  Array<int16_t> out({rows, count});
  const auto* subsets = reinterpret_cast<const uint8_t*>(member.data());
  int16_t* to = out.mutable_data();
  const py::gil_scoped_release release;
  differences(from, n, count, subsets, rows, to);
  return out;
}

// What `op` says of each region.
template <typename T, void (*op)(const Surrogate&, T*)>
Array<T> of_regions(py::handle fitted_) {
  const Fitted fitted(fitted_);
  Array<T> out(fitted.surrogate.n);
  T* data = out.mutable_data();
  const py::gil_scoped_release release;
  op(fitted.surrogate, data);
  return out;
}

py::tuple improve(py::handle fitted_, InPlace<int32_t>& order, int64_t k, int64_t passes, int64_t within,
                  double least) {
  const Fitted fitted(fitted_);
  const int64_t n = fitted.surrogate.n;
  PYSMDL_CHECK(order.ndim() == 1 && order.shape(0) == n, "order must be int32 [", n, "]");
  PYSMDL_CHECK(0 < k && k <= n, "k must be 1 to ", n, ", got ", k);
  PYSMDL_CHECK(least >= 0, "least must be at least 0, got ", least);
  int32_t* data = writable(order, "order");
  std::vector<int32_t> moved(data, data + n);
  std::vector<bool> seen(n, false);
  for (const int32_t x : moved) {
    PYSMDL_CHECK(0 <= x && x < n && !seen[x], "order must hold each region once");
    seen[x] = true;
  }
  Array<double> unsure({int64_t{2}, n + 1});
  double *to_unsure = unsure.mutable_data(), worth;
  {
    const py::gil_scoped_release release;
    worth = improve_chain(fitted.surrogate, k, passes, within, least, moved.data(), to_unsure);
    std::copy(moved.begin(), moved.end(), data);
  }
  return py::make_tuple(worth, unsure);
}

py::tuple predicted(py::handle fitted_, const Array<bool>& member) {
  const Fitted fitted(fitted_);
  PYSMDL_CHECK(member.ndim() == 2 && member.shape(1) == fitted.surrogate.n, "member must be bool [a, ",
               fitted.surrogate.n, "]");
  const int64_t subsets = member.shape(0);
  Array<double> value(subsets), unsure(subsets);
  const auto* from = reinterpret_cast<const uint8_t*>(member.data());
  double *to_value = value.mutable_data(), *to_unsure = unsure.mutable_data();
  {
    const py::gil_scoped_release release;
    predict(fitted.surrogate, from, subsets, to_value, to_unsure);
  }
  return py::make_tuple(value, unsure);
}

void expect_alike(const Array<double>& alike, int64_t n) {
  PYSMDL_CHECK(alike.ndim() == 2 && alike.shape(0) == n && alike.shape(1) == n, "alike must be float64 [", n, ", ", n,
               "]");
}

void fill_kernel(const Array<int8_t>& flip, const Array<double>& alike, const Array<double>& table, int64_t first,
                 InPlace<float>& kernel) {
  PYSMDL_CHECK(flip.ndim() == 2, "flip must be int8 [n, count]");
  const int64_t n = flip.shape(0), count = flip.shape(1), size = kernel.ndim() == 2 ? kernel.shape(0) : -1;
  expect_alike(alike, n);
  PYSMDL_CHECK(0 <= first && first <= count, "first must be 0 to ", count, ", got ", first);
  const int64_t span = table.size() - 1;
  const std::vector<int8_t> flips(flip.data(), flip.data() + flip.size());
  for (const int32_t weight : weights(flips.data(), n, count))
    PYSMDL_CHECK(table.ndim() == 1 && weight == span && span <= kMostWeight, "table must be [", weight + 1,
                 "], one more than the flips of a subset add up to");
  PYSMDL_CHECK(kernel.ndim() == 2 && kernel.shape(1) == size && size >= count,
               "kernel must be float32 [size, size] with size at least ", count);
  float* to = writable(kernel, "kernel");
  const double *from = alike.data(), *by_difference = table.data();
  const py::gil_scoped_release release;
  kernel_rows(flips.data(), n, count, from, by_difference, span, first, size, to);
}

Array<double> effects_of(const Array<int8_t>& flip, const Array<double>& alike, const Array<double>& pull) {
  PYSMDL_CHECK(flip.ndim() == 2, "flip must be int8 [n, count]");
  const int64_t n = flip.shape(0), count = flip.shape(1);
  expect_alike(alike, n);
  PYSMDL_CHECK(pull.ndim() == 1 && pull.shape(0) == count, "pull must be float64 [", count, "]");
  Array<double> effect(n);
  double* to = effect.mutable_data();
  const int8_t* from = flip.data();
  const double *by_likeness = alike.data(), *each = pull.data();
  const py::gil_scoped_release release;
  effects(from, n, count, by_likeness, each, to);
  return effect;
}

void extend(InPlace<float>& factor, int64_t known, int64_t count, double noise, int threads) {
  const int64_t size = factor.ndim() == 2 ? factor.shape(0) : -1;
  PYSMDL_CHECK(size >= 0 && factor.shape(1) == size, "factor must be float32 [size, size]");
  PYSMDL_CHECK(0 <= known && known <= count && count <= size, "known and count must be 0 <= known <= count <= ", size);
  expect_threads(threads);
  float* data = writable(factor, "factor");
  bool sound;
  {
    const py::gil_scoped_release release;
    sound = extend_cholesky(data, size, known, count, static_cast<float>(noise), threads);
  }
  PYSMDL_CHECK(sound, "matrix + noise is not positive definite");
}

void solve(const Array<float>& factor, InPlace<double>& x) {
  PYSMDL_CHECK(factor.ndim() == 2 && x.ndim() == 1, "factor must be float32 [size, size] and x [count]");
  const int64_t rows = factor.shape(0), stride = factor.shape(1), count = x.shape(0);
  PYSMDL_CHECK(count <= rows && count <= stride, "x must be no longer than either side of factor, [", rows, ", ",
               stride, "], got [", count, "]");
  const float* from = factor.data();
  double* to = writable(x, "x");
  const py::gil_scoped_release release;
  solve_cholesky(from, stride, count, to);
}

}  // namespace

void register_chains(py::module_& m) {
  using py::arg;
  m.def("differences", &differing, arg("flip"), arg("member"));
  m.def("predict", &predicted, arg("fitted"), arg("member"));
  m.def("kernel_rows", &fill_kernel, arg("flip"), arg("alike"), arg("table"), arg("first"), arg("kernel").noconvert());
  m.def("effects", &effects_of, arg("flip"), arg("alike"), arg("pull"));
  m.def("influences", &of_regions<double, influences>, arg("fitted"));
  m.def("greedy_chain", &of_regions<int32_t, greedy_chain>, arg("fitted"));
  m.def("improve_chain", &improve, arg("fitted"), arg("order").noconvert(), arg("k"), arg("passes"), arg("within"),
        arg("least"));
  m.def("extend_cholesky", &extend, arg("factor").noconvert(), arg("known"), arg("count"), arg("noise"),
        arg("threads"));
  m.def("solve_cholesky", &solve, arg("factor").noconvert(), arg("x").noconvert());
}

}  // namespace pysmdl
