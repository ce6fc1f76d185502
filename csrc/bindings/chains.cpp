// The guided search's surrogate over NumPy arrays: its factor, and chains under it. The GIL is released while they work.
#include <pybind11/numpy.h>

#include <cstdlib>
#include <tuple>
#include <vector>

#include "../core/chain.h"
#include "../core/check.h"
#include "../core/cholesky.h"
#include "register.h"

namespace py = pybind11;

namespace pysmdl {
namespace {

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

// flip, alpha, linear, smooth, reach, offset, kept, removed: see Surrogate.
using Fitted = std::tuple<Array<int8_t>, Array<double>, double, double, double, double, double, double>;

Surrogate checked(const Fitted& fitted) {
  const auto& [flip, alpha, linear, smooth, reach, offset, kept, removed] = fitted;
  PYSMDL_CHECK(flip.ndim() == 2 && flip.shape(0) > 0, "flip must be int8 [n, count] with n at least 1");
  PYSMDL_CHECK(alpha.ndim() == 1 && alpha.shape(0) == flip.shape(1), "alpha must be [", flip.shape(1), "], one a subset");
  std::vector<int64_t> all(flip.shape(1), 0);  // of every subset alike, or differences would leave 0 .. span
  const int8_t* each = flip.data();
  for (int64_t x = 0; x < flip.shape(0); ++x)
    for (int64_t& sum : all) sum += std::abs(*each++);
  const int64_t span = all.empty() ? 1 : all[0];
  PYSMDL_CHECK(0 < span && span <= 32767, "flips of a subset must add up to 1 to 32767, got ", span);
  for (const int64_t sum : all) PYSMDL_CHECK(sum == span, "flips of every subset must add up to ", span, ", got ", sum);
  PYSMDL_CHECK(reach > 0, "reach must be above 0, got ", reach);
  return {flip.data(), alpha.data(), linear, smooth, reach, offset, kept, removed, flip.shape(0), flip.shape(1), span};
}

Array<int16_t> differing(const Array<int8_t>& flip, const Array<bool>& member) {
  PYSMDL_CHECK(flip.ndim() == 2, "flip must be int8 [n, count]");
  PYSMDL_CHECK(member.ndim() == 2 && member.shape(1) == flip.shape(0), "member must be bool [a, ", flip.shape(0), "]");
  Array<int16_t> out({member.shape(0), flip.shape(1)});
  const int8_t* from = flip.data();
  const bool* subsets = member.data();
  const int64_t n = flip.shape(0), count = flip.shape(1), rows = member.shape(0);
  int16_t* to = out.mutable_data();
  const py::gil_scoped_release release;
  differences(from, n, count, subsets, rows, to);
  return out;
}

Array<int32_t> greedy(const Fitted& fitted) {
  const Surrogate surrogate = checked(fitted);
  Array<int32_t> order(surrogate.n);
  int32_t* data = order.mutable_data();
  const py::gil_scoped_release release;
  greedy_chain(surrogate, data);
  return order;
}

double improve(const Fitted& fitted, Array<int32_t>& order, int64_t k, int64_t passes, int64_t within) {
  const Surrogate surrogate = checked(fitted);
  PYSMDL_CHECK(order.ndim() == 1 && order.shape(0) == surrogate.n, "order must be int32 [", surrogate.n, "]");
  PYSMDL_CHECK(0 < k && k <= surrogate.n, "k must be 1 to ", surrogate.n, ", got ", k);
  int32_t* data = order.mutable_data();
  std::vector<bool> seen(surrogate.n, false);
  for (int64_t j = 0; j < surrogate.n; ++j) {
    PYSMDL_CHECK(0 <= data[j] && data[j] < surrogate.n && !seen[data[j]], "order must hold each region once");
    seen[data[j]] = true;
  }
  const py::gil_scoped_release release;
  return improve_chain(surrogate, k, passes, within, data);
}

void extend(Array<double>& factor, int64_t known, int64_t count, double noise, int threads) {
  const int64_t size = factor.ndim() == 2 ? factor.shape(0) : -1;
  PYSMDL_CHECK(size >= 0 && factor.shape(1) == size, "factor must be float64 [size, size]");
  PYSMDL_CHECK(0 <= known && known <= count && count <= size, "known and count must be 0 <= known <= count <= ", size);
  double* data = factor.mutable_data();
  bool sound;
  {
    const py::gil_scoped_release release;
    sound = extend_cholesky(data, size, known, count, noise, threads);
  }
  PYSMDL_CHECK(sound, "matrix + noise is not positive definite");
}

void solve(const Array<double>& factor, Array<double>& x) {
  PYSMDL_CHECK(factor.ndim() == 2 && x.ndim() == 1 && x.shape(0) <= factor.shape(0), "x must be no longer than factor");
  const double* from = factor.data();
  double* to = x.mutable_data();
  const int64_t stride = factor.shape(1), count = x.shape(0);
  const py::gil_scoped_release release;
  solve_cholesky(from, stride, count, to);
}

}  // namespace

void register_chains(py::module_& m) {
  using py::arg;
  m.def("differences", &differing, arg("flip"), arg("member"));
  m.def("greedy_chain", &greedy, arg("fitted"));
  m.def("improve_chain", &improve, arg("fitted"), arg("order").noconvert(), arg("k"), arg("passes"), arg("within"));
  m.def("extend_cholesky", &extend, arg("factor").noconvert(), arg("known"), arg("count"), arg("noise"),
        arg("threads"));
  m.def("solve_cholesky", &solve, arg("factor").noconvert(), arg("x").noconvert());
}

}  // namespace pysmdl
