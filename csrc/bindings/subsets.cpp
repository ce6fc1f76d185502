// SubsetCache over NumPy int32 rows.
#include "../core/check.h"
#include "../core/subset_cache.h"
#include "arrays.h"
#include "register.h"

namespace py = pybind11;

namespace pysmdl {
namespace {

using Rows = Array<int32_t>;

const uint32_t* checked(const SubsetCache& cache, const Rows& rows) {
  PYSMDL_CHECK(rows.ndim() == 2 && rows.shape(1) == cache.words(), "rows must be int32 [n, ", cache.words(), "]");
  return reinterpret_cast<const uint32_t*>(rows.data());
}

Rows intern(SubsetCache& cache, const Rows& rows) {
  const uint32_t* data = checked(cache, rows);
  Rows ids(rows.shape(0));
  cache.intern(data, rows.shape(0), ids.mutable_data());
  return ids;
}

Rows find(const SubsetCache& cache, const Rows& rows) {
  const uint32_t* data = checked(cache, rows);
  Rows ids(rows.shape(0));
  cache.find(data, rows.shape(0), ids.mutable_data());
  return ids;
}

Rows rows_between(const SubsetCache& cache, int64_t start, int64_t stop) {
  PYSMDL_CHECK(0 <= start && start <= stop && stop <= cache.size(), "rows ", start, " to ", stop, " of ", cache.size());
  Rows rows({stop - start, cache.words()});
  if (stop > start) std::copy(cache.row(start), cache.row(start) + (stop - start) * cache.words(), rows.mutable_data());
  return rows;
}

}  // namespace

void register_subsets(py::module_& m) {
  py::class_<SubsetCache>(m, "SubsetCache")
      .def(py::init<int64_t>(), py::arg("words"))
      .def("intern", &intern, py::arg("rows"))
      .def("find", &find, py::arg("rows"))
      .def("rows", &rows_between, py::arg("start"), py::arg("stop"))
      .def("__len__", &SubsetCache::size);
}

}  // namespace pysmdl
