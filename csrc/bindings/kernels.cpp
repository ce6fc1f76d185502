// The ops: check the borrowed tensors, fill the parameter struct, release the GIL, call cpu:: or cuda::.
#include "register.h"
#include "tensor.h"

#include "../core/ops.h"

namespace py = pybind11;

namespace pysmdl {
namespace {

// `stream` is a raw cudaStream_t; CPU tensors ignore it.
template <typename Cpu, typename Cuda>
void launch(const TensorView& out, Cpu&& on_cpu, [[maybe_unused]] Cuda&& on_cuda) {
  PYSMDL_CHECK(!out.read_only, out.name, " is read-only");
  const py::gil_scoped_release release;
  if (out.device == DeviceKind::cpu) {
    on_cpu();
    return;
  }
#ifdef PYSMDL_WITH_CUDA
  on_cuda();
#else
  throw BackendFailure("this build of pysmdl has no CUDA part: rebuild with PYSMDL_CUDA=ON, or use backend=\"triton\"");
#endif
}

void compose(py::handle x_, py::handle baseline_, py::handle labels_, py::handle rows_, py::handle source_,
             py::handle out_, int threads, [[maybe_unused]] uintptr_t stream) {
  const Borrowed x = borrow(x_, "x", 2), baseline = borrow(baseline_, "baseline", 2), labels = borrow(labels_, "labels", 1);
  const Borrowed rows = borrow(rows_, "rows"), source = borrow(source_, "source"), out = borrow(out_, "out", 2);
  x.expect_dims(3), baseline.expect_dims(3), labels.expect_dims(2), rows.expect_dims(2), source.expect_dims(1), out.expect_dims(3);
  x.expect_float(), baseline.expect_dtype(x.dtype), out.expect_dtype(x.dtype);
  labels.expect_dtype(DType::i32), rows.expect_dtype(DType::i32), source.expect_dtype(DType::i32);
  rows.expect_contiguous(), source.expect_contiguous();
  for (int d = 0; d < 3; ++d) baseline.expect_size(d, x.shape[d], "as in x");
  labels.expect_size(0, x.shape[0], "the inputs of x"), labels.expect_size(1, x.shape[2], "the points of x");
  out.expect_size(0, rows.shape[0], "the rows"), source.expect_size(0, rows.shape[0], "the rows");
  out.expect_size(1, x.shape[1], "the channels of x"), out.expect_size(2, x.shape[2], "the points of x");
  for (const Borrowed* other : {&x, &baseline, &labels, &rows, &source}) other->expect_same_device(out);

  ComposeParams p{};
  p.x = x.data, p.baseline = baseline.data, p.out = out.data;
  p.labels = labels.as<int32_t>(), p.rows = rows.as<int32_t>(), p.source = source.as<int32_t>();
  p.inputs = x.shape[0], p.channels = x.shape[1], p.points = x.shape[2];
  p.batch = rows.shape[0], p.words = rows.shape[1];
  p.x_input = x.strides[0], p.x_channel = x.strides[1], p.x_point = x.strides[2];
  p.baseline_input = baseline.strides[0], p.baseline_channel = baseline.strides[1], p.baseline_point = baseline.strides[2];
  p.labels_input = labels.strides[0], p.labels_point = labels.strides[1];
  p.out_row = out.strides[0], p.out_channel = out.strides[1], p.out_point = out.strides[2];
  p.element_size = size_of(x.dtype);
  if (out.device == DeviceKind::cpu) {
    for (int64_t b = 0; b < p.batch; ++b)
      PYSMDL_CHECK(p.source[b] < p.inputs, "source[", b, "] is ", p.source[b], ", x holds ", p.inputs, " inputs");
  }
  launch(out, [&] { cpu::compose(p, threads); },
         [&] {
#ifdef PYSMDL_WITH_CUDA
           cuda::compose(p, out.device_id, reinterpret_cast<void*>(stream));
#endif
         });
}

void class_scores(py::handle logits_, py::handle targets_, py::handle out_, bool entropy, int threads,
                  [[maybe_unused]] uintptr_t stream) {
  const Borrowed logits = borrow(logits_, "logits"), targets = borrow(targets_, "targets"), out = borrow(out_, "out");
  logits.expect_dims(2), targets.expect_dims(2), out.expect_dims(2);
  logits.expect_float(), targets.expect_dtype(DType::i32), out.expect_dtype(DType::f32);
  targets.expect_contiguous(), out.expect_contiguous();
  PYSMDL_CHECK(logits.shape[1] > 0, "logits must have at least one class, got shape ", logits.shape_text());
  PYSMDL_CHECK(logits.shape[1] == 1 || logits.strides[1] == 1, "logits must have unit stride along the classes");
  targets.expect_size(0, logits.shape[0], "the rows of logits"), out.expect_size(0, logits.shape[0], "the rows of logits");
  out.expect_size(1, targets.shape[1] + 2, "confidence, top class, targets");
  logits.expect_same_device(out), targets.expect_same_device(out);

  ClassScoresParams p{};
  p.logits = logits.data, p.targets = targets.as<int32_t>(), p.out = out.as<float>();
  p.batch = logits.shape[0], p.classes = logits.shape[1], p.traced = targets.shape[1], p.logits_row = logits.strides[0];
  p.dtype = logits.dtype, p.entropy = entropy;
  if (out.device == DeviceKind::cpu) {
    for (int64_t i = 0; i < p.batch * p.traced; ++i)
      PYSMDL_CHECK(p.targets[i] < p.classes, "target ", p.targets[i], " is out of range for ", p.classes, " classes");
  }
  launch(out, [&] { cpu::class_scores(p, threads); },
         [&] {
#ifdef PYSMDL_WITH_CUDA
           cuda::class_scores(p, out.device_id, reinterpret_cast<void*>(stream));
#endif
         });
}

void distance_gains(py::handle distances_, py::handle nearest_, py::handle members_, py::handle candidates_,
                    py::handle out_, [[maybe_unused]] uintptr_t stream) {
  const Borrowed distances = borrow(distances_, "distances"), nearest = borrow(nearest_, "nearest");
  const Borrowed members = borrow(members_, "members"), candidates = borrow(candidates_, "candidates");
  const Borrowed out = borrow(out_, "out");
  distances.expect_dims(2), nearest.expect_dims(1), members.expect_dims(1), candidates.expect_dims(1), out.expect_dims(1);
  distances.expect_dtype(DType::f32), nearest.expect_dtype(DType::f32), out.expect_dtype(DType::f32);
  members.expect_dtype(DType::i32), candidates.expect_dtype(DType::i32);
  for (const Borrowed* tensor : {&distances, &nearest, &members, &candidates, &out}) tensor->expect_contiguous();
  distances.expect_size(1, distances.shape[0], "distances is square");
  nearest.expect_size(0, members.shape[0], "the members"), out.expect_size(0, candidates.shape[0], "the candidates");
  for (const Borrowed* other : {&distances, &nearest, &members, &candidates}) other->expect_same_device(out);

  DistanceGainsParams p{};
  p.distances = distances.as<float>(), p.nearest = nearest.as<float>(), p.out = out.as<float>();
  p.members = members.as<int32_t>(), p.candidates = candidates.as<int32_t>();
  p.regions = distances.shape[0], p.member_count = members.shape[0], p.candidate_count = candidates.shape[0];
  if (out.device == DeviceKind::cpu) {
    const auto inside = [&](int32_t region) { return region >= 0 && region < p.regions; };
    for (int64_t i = 0; i < p.member_count; ++i)
      PYSMDL_CHECK(inside(p.members[i]), "members[", i, "] is ", p.members[i], ", there are ", p.regions, " regions");
    for (int64_t i = 0; i < p.candidate_count; ++i)
      PYSMDL_CHECK(inside(p.candidates[i]), "candidates[", i, "] is ", p.candidates[i], ", there are ", p.regions, " regions");
  }
  launch(out, [&] { cpu::distance_gains(p); },
         [&] {
#ifdef PYSMDL_WITH_CUDA
           cuda::distance_gains(p, out.device_id, reinterpret_cast<void*>(stream));
#endif
         });
}

void match_boxes(py::handle boxes_, py::handle confidences_, py::handle target_, py::handle labels_, py::handle mode_,
                 py::handle out_, float floor, int threads, [[maybe_unused]] uintptr_t stream) {
  const Borrowed boxes = borrow(boxes_, "boxes"), confidences = borrow(confidences_, "confidences");
  const Borrowed target = borrow(target_, "target"), labels = borrow(labels_, "labels"), mode = borrow(mode_, "mode");
  const Borrowed out = borrow(out_, "out");
  boxes.expect_dims(3), confidences.expect_dims(3), target.expect_dims(2), labels.expect_dims(2), mode.expect_dims(1), out.expect_dims(2);
  boxes.expect_dtype(DType::f32), confidences.expect_float(), target.expect_dtype(DType::f32), out.expect_dtype(DType::f32);
  labels.expect_dtype(DType::i32), mode.expect_dtype(DType::i32);
  for (const Borrowed* tensor : {&boxes, &confidences, &target, &labels, &mode, &out}) tensor->expect_contiguous();
  const int64_t batch = boxes.shape[0];
  PYSMDL_CHECK(boxes.shape[1] > 0, "boxes must hold at least one prediction a row, got shape ", boxes.shape_text());
  boxes.expect_size(2, 4, "x0, y0, x1, y1"), target.expect_size(1, 4, "x0, y0, x1, y1");
  confidences.expect_size(0, batch, "the rows of boxes"), confidences.expect_size(1, boxes.shape[1], "the predictions of boxes");
  target.expect_size(0, batch, "the rows of boxes"), labels.expect_size(0, batch, "the rows of boxes");
  mode.expect_size(0, batch, "the rows of boxes"), out.expect_size(0, batch, "the rows of boxes");
  out.expect_size(1, 7, "match, IoU, confidence, box");
  for (const Borrowed* other : {&boxes, &confidences, &target, &labels, &mode}) other->expect_same_device(out);

  MatchBoxesParams p{};
  p.boxes = boxes.as<float>(), p.confidences = confidences.data, p.target = target.as<float>(), p.out = out.as<float>();
  p.labels = labels.as<int32_t>(), p.mode = mode.as<int32_t>();
  p.batch = batch, p.queries = boxes.shape[1], p.classes = confidences.shape[2], p.listed = labels.shape[1];
  p.floor = floor, p.dtype = confidences.dtype;
  if (out.device == DeviceKind::cpu) {
    for (int64_t i = 0; i < p.batch * p.listed; ++i)
      PYSMDL_CHECK(p.labels[i] < p.classes, "label ", p.labels[i], " is out of range for ", p.classes, " classes");
  }
  launch(out, [&] { cpu::match_boxes(p, threads); },
         [&] {
#ifdef PYSMDL_WITH_CUDA
           cuda::match_boxes(p, out.device_id, reinterpret_cast<void*>(stream));
#endif
         });
}

void pack_tokens(py::handle x_, py::handle labels_, py::handle rows_, py::handle source_, py::handle offsets_,
                 py::handle out_, int threads) {
  const Borrowed x = borrow(x_, "x"), labels = borrow(labels_, "labels"), rows = borrow(rows_, "rows");
  const Borrowed source = borrow(source_, "source"), offsets = borrow(offsets_, "offsets"), out = borrow(out_, "out");
  x.expect_dims(3), labels.expect_dims(2), rows.expect_dims(2);
  source.expect_dims(1), offsets.expect_dims(1), out.expect_dims(2);
  x.expect_float(), out.expect_dtype(x.dtype);
  for (const Borrowed* index : {&labels, &rows, &source, &offsets}) index->expect_dtype(DType::i32);
  for (const Borrowed* tensor : {&x, &labels, &rows, &source, &offsets, &out}) tensor->expect_contiguous();
  for (int d = 0; d < 2; ++d) labels.expect_size(d, x.shape[d], "as in x");
  source.expect_size(0, rows.shape[0], "the rows"), offsets.expect_size(0, rows.shape[0] + 1, "one more than rows");
  out.expect_size(1, x.shape[2], "the width of x");
  for (const Borrowed* other : {&x, &labels, &rows, &source, &offsets}) other->expect_same_device(out);
  PYSMDL_CHECK(out.device == DeviceKind::cpu, "pack_tokens in C++ is for CPU tensors");

  PackTokensParams p{};
  p.x = x.as<char>(), p.out = out.as<char>();
  p.labels = labels.as<int32_t>(), p.rows = rows.as<int32_t>();
  p.source = source.as<int32_t>(), p.offsets = offsets.as<int32_t>();
  p.batch = rows.shape[0], p.words = rows.shape[1], p.tokens = x.shape[1], p.room = out.shape[0];
  p.token_bytes = x.shape[2] * size_of(x.dtype);
  for (int64_t b = 0; b < p.batch; ++b) {
    PYSMDL_CHECK(p.source[b] >= 0 && p.source[b] < x.shape[0], "source[", b, "] is ", p.source[b], ", x holds ",
                 x.shape[0], " inputs");
    PYSMDL_CHECK(p.offsets[b] <= p.offsets[b + 1], "offsets must ascend, got ", p.offsets[b + 1], " after ",
                 p.offsets[b]);
  }
  PYSMDL_CHECK(p.offsets[0] >= 0 && p.offsets[p.batch] <= p.room, "offsets must be 0 to ", p.room,
               ", the rows of out, got ", p.offsets[0], " to ", p.offsets[p.batch]);
  launch(out, [&] { cpu::pack_tokens(p, threads); }, [] {});
}

}  // namespace

void register_kernels(py::module_& m) {
  using py::arg;
  m.def("compose", &compose, arg("x"), arg("baseline"), arg("labels"), arg("rows"), arg("source"), arg("out"),
        arg("threads"), arg("stream") = 0);
  m.def("class_scores", &class_scores, arg("logits"), arg("targets"), arg("out"), arg("entropy"), arg("threads"),
        arg("stream") = 0);
  m.def("distance_gains", &distance_gains, arg("distances"), arg("nearest"), arg("members"), arg("candidates"),
        arg("out"), arg("stream") = 0);
  m.def("match_boxes", &match_boxes, arg("boxes"), arg("confidences"), arg("target"), arg("labels"), arg("mode"),
        arg("out"), arg("floor"), arg("threads"), arg("stream") = 0);
  m.def("pack_tokens", &pack_tokens, arg("x"), arg("labels"), arg("rows"), arg("source"), arg("offsets"), arg("out"),
        arg("threads"));
}

}  // namespace pysmdl
