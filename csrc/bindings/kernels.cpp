// The ops: check the borrowed tensors, fill the parameter struct, release the GIL, call cpu:: or cuda::. `stream` is a
// raw cudaStream_t; CPU tensors ignore it.
#include <cstdint>

#include "../core/ops.h"
#include "launch.h"
#include "register.h"

namespace py = pybind11;

namespace pysmdl {
namespace {

constexpr int64_t kAny = INT32_MIN;  // the least number of an index where negative ones have a meaning

// What compose and blend ask of the inputs, and of the rows that say what is shown of them.
void expect_shown(const Borrowed& x, const Borrowed& baseline, const Borrowed& labels, const Borrowed& rows,
                  const Borrowed& source, const Borrowed& out, int threads) {
  x.expect_dims(3), baseline.expect_dims(3), labels.expect_dims(2);
  rows.expect_dims(2), source.expect_dims(1), out.expect_dims(3);
  labels.expect_dtype(DType::i32), source.expect_dtype(DType::i32);
  rows.expect_contiguous(), source.expect_contiguous(), expect_threads(threads);
  for (int d = 0; d < 3; ++d) baseline.expect_size(d, x.shape[d], "as in x");
  labels.expect_size(0, x.shape[0], "the inputs of x"), labels.expect_size(1, x.shape[2], "the points of x");
  out.expect_size(0, rows.shape[0], "the rows"), source.expect_size(0, rows.shape[0], "the rows");
  out.expect_size(1, x.shape[1], "the channels of x"), out.expect_size(2, x.shape[2], "the points of x");
}

// Each row's input is one that x holds; negative ones are padding.
void expect_held(const Index& source, const Borrowed& x) {
  source.expect_within(kAny, x.shape[0], [&](size_t b, int32_t input) {
    return message("source[", b, "] is ", input, ", x holds ", x.shape[0], " inputs");
  });
}

template <typename Params>
void set_strides(Params& p, const Borrowed& x, const Borrowed& baseline, const Borrowed& out) {
  p.x_input = x.strides[0], p.x_channel = x.strides[1], p.x_point = x.strides[2];
  p.baseline_input = baseline.strides[0], p.baseline_channel = baseline.strides[1];
  p.baseline_point = baseline.strides[2];
  p.out_row = out.strides[0], p.out_channel = out.strides[1], p.out_point = out.strides[2];
}

void compose(py::handle x_, py::handle baseline_, py::handle labels_, py::handle rows_, py::handle source_,
             py::handle out_, int threads, [[maybe_unused]] uintptr_t stream) {
  const Borrowed x = borrow(x_, "x", 2), baseline = borrow(baseline_, "baseline", 2);
  const Borrowed labels = borrow(labels_, "labels", 1), rows = borrow(rows_, "rows");
  const Borrowed source = borrow(source_, "source"), out = borrow(out_, "out", 2);
  expect_shown(x, baseline, labels, rows, source, out, threads);
  baseline.expect_dtype(x.dtype), out.expect_dtype(x.dtype);  // any: floats and ids are selected alike
  rows.expect_dtype(DType::i32);
  PYSMDL_CHECK(rows.shape[1] <= ComposeParams::kMostWords, "rows must have at most ", ComposeParams::kMostWords,
               " words, got ", rows.shape[1]);
  expect_output(out, {&x, &baseline, &labels, &rows, &source});
  const Index inputs(source);
  expect_held(inputs, x);

  ComposeParams p{};
  p.x = x.data, p.baseline = baseline.data, p.out = out.data;
  p.labels = labels.as<int32_t>(), p.rows = rows.as<int32_t>(), p.source = inputs.data();
  p.inputs = x.shape[0], p.channels = x.shape[1], p.points = x.shape[2];
  p.batch = rows.shape[0], p.words = rows.shape[1];
  p.labels_input = labels.strides[0], p.labels_point = labels.strides[1];
  set_strides(p, x, baseline, out);
  p.element_size = size_of(x.dtype);
  launch(
      out, [&] { cpu::compose(p, threads); },
      [&] {
#ifdef PYSMDL_WITH_CUDA
        cuda::compose(p, out.device_id, reinterpret_cast<void*>(stream));
#endif
      });
}

void blend(py::handle x_, py::handle baseline_, py::handle labels_, py::handle weights_, py::handle source_,
           py::handle out_, int threads) {
  const Borrowed x = borrow(x_, "x", 2), baseline = borrow(baseline_, "baseline", 2);
  const Borrowed labels = borrow(labels_, "labels", 1), weights = borrow(weights_, "weights");
  const Borrowed source = borrow(source_, "source"), out = borrow(out_, "out", 2);
  expect_shown(x, baseline, labels, weights, source, out, threads);
  for (const Borrowed* numbers : {&x, &baseline, &weights, &out}) numbers->expect_dtype(DType::f32);
  labels.expect_contiguous();
  PYSMDL_CHECK(weights.shape[1] <= BlendParams::kMostRegions, "weights must be of at most ", BlendParams::kMostRegions,
               " regions, got ", weights.shape[1]);
  PYSMDL_CHECK(out.device == DeviceKind::cpu, "blend in C++ is for CPU tensors");
  expect_output(out, {&x, &baseline, &labels, &weights, &source});
  const Index inputs(source);
  expect_held(inputs, x);

  BlendParams p{};
  p.x = x.as<float>(), p.baseline = baseline.as<float>(), p.out = out.as<float>();
  p.labels = labels.as<int32_t>(), p.weights = weights.as<float>(), p.source = inputs.data();
  p.batch = weights.shape[0], p.channels = x.shape[1], p.points = x.shape[2], p.regions = weights.shape[1];
  set_strides(p, x, baseline, out);
  launch(out, [&] { cpu::blend(p, threads); }, [] {});
}

void class_scores(py::handle logits_, py::handle targets_, py::handle out_, bool entropy, int threads,
                  [[maybe_unused]] uintptr_t stream) {
  const Borrowed logits = borrow(logits_, "logits"), targets = borrow(targets_, "targets"), out = borrow(out_, "out");
  logits.expect_dims(2), targets.expect_dims(2), out.expect_dims(2);
  logits.expect_float(), targets.expect_dtype(DType::i32), out.expect_dtype(DType::f32);
  targets.expect_contiguous(), out.expect_contiguous(), expect_threads(threads);
  const int64_t classes = logits.shape[1];
  PYSMDL_CHECK(0 < classes && classes <= ClassScoresParams::kMostClasses, "logits must have 1 to ",
               ClassScoresParams::kMostClasses, " classes, got shape ", logits.shape_text());
  PYSMDL_CHECK(classes == 1 || logits.size() == 0 || logits.strides[1] == 1,
               "logits must have unit stride along the classes");
  for (const Borrowed* tensor : {&targets, &out}) tensor->expect_size(0, logits.shape[0], "the rows of logits");
  out.expect_size(1, targets.shape[1] + 2, "confidence, top class, targets");
  expect_output(out, {&logits, &targets});
  const Index traced(targets);
  traced.expect_within(kAny, classes, [&](size_t, int32_t target) {
    return message("target ", target, " is out of range for ", classes, " classes");
  });

  ClassScoresParams p{};
  p.logits = logits.data, p.targets = traced.data(), p.out = out.as<float>();
  p.batch = logits.shape[0], p.classes = classes, p.traced = targets.shape[1], p.logits_row = logits.strides[0];
  p.dtype = logits.dtype, p.entropy = entropy;
  launch(
      out, [&] { cpu::class_scores(p, threads); },
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
  distances.expect_dims(2);
  for (const Borrowed* tensor : {&nearest, &members, &candidates, &out}) tensor->expect_dims(1);
  distances.expect_dtype(DType::f32), nearest.expect_dtype(DType::f32), out.expect_dtype(DType::f32);
  members.expect_dtype(DType::i32), candidates.expect_dtype(DType::i32);
  for (const Borrowed* tensor : {&distances, &nearest, &members, &candidates, &out}) tensor->expect_contiguous();
  const int64_t regions = distances.shape[0];
  distances.expect_size(1, regions, "distances is square");
  nearest.expect_size(0, members.shape[0], "the members"), out.expect_size(0, candidates.shape[0], "the candidates");
  PYSMDL_CHECK(regions > 0, "distances must be of at least one region, got shape ", distances.shape_text());
  expect_output(out, {&distances, &nearest, &members, &candidates});
  const Index in(members), added(candidates);
  const auto expect_regions = [&](const Index& index, const char* name) {
    index.expect_within(0, regions, [&](size_t i, int32_t region) {
      return message(name, "[", i, "] is ", region, ", there are ", regions, " regions");
    });
  };
  expect_regions(in, "members"), expect_regions(added, "candidates");

  DistanceGainsParams p{};
  p.distances = distances.as<float>(), p.nearest = nearest.as<float>(), p.out = out.as<float>();
  p.members = in.data(), p.candidates = added.data();
  p.regions = regions, p.member_count = members.shape[0], p.candidate_count = candidates.shape[0];
  launch(
      out, [&] { cpu::distance_gains(p); },
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
  boxes.expect_dims(3), confidences.expect_dims(3), target.expect_dims(2);
  labels.expect_dims(2), mode.expect_dims(1), out.expect_dims(2);
  boxes.expect_dtype(DType::f32), confidences.expect_float(), target.expect_dtype(DType::f32);
  labels.expect_dtype(DType::i32), mode.expect_dtype(DType::i32), out.expect_dtype(DType::f32);
  for (const Borrowed* tensor : {&boxes, &confidences, &target, &labels, &mode, &out}) tensor->expect_contiguous();
  const int64_t batch = boxes.shape[0], classes = confidences.shape[2];
  PYSMDL_CHECK(boxes.shape[1] > 0, "boxes must hold at least one prediction a row, got shape ", boxes.shape_text());
  PYSMDL_CHECK(classes > 0, "confidences must be of at least one class, got shape ", confidences.shape_text());
  boxes.expect_size(2, 4, "x0, y0, x1, y1"), target.expect_size(1, 4, "x0, y0, x1, y1");
  for (const Borrowed* tensor : {&confidences, &target, &labels, &mode, &out})
    tensor->expect_size(0, batch, "the rows of boxes");
  confidences.expect_size(1, boxes.shape[1], "the predictions of boxes");
  out.expect_size(1, 7, "match, IoU, confidence, box");
  PYSMDL_CHECK(floor >= 0, "floor must be at least 0, got ", floor);
  expect_threads(threads);
  expect_output(out, {&boxes, &confidences, &target, &labels, &mode});
  const Index counted(labels), modes(mode);
  counted.expect_within(kAny, classes, [&](size_t, int32_t label) {
    return message("label ", label, " is out of range for ", classes, " classes");
  });
  modes.expect_within(kObject, kIou + 1, [](size_t b, int32_t each) {
    return message("mode[", b, "] is ", each, ", modes are 0 to ", int{kIou});
  });

  MatchBoxesParams p{};
  p.boxes = boxes.as<float>(), p.confidences = confidences.data, p.target = target.as<float>(), p.out = out.as<float>();
  p.labels = counted.data(), p.mode = modes.data();
  p.batch = batch, p.queries = boxes.shape[1], p.classes = classes, p.listed = labels.shape[1];
  p.floor = floor, p.dtype = confidences.dtype;
  launch(
      out, [&] { cpu::match_boxes(p, threads); },
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
  x.expect_float(), out.expect_dtype(x.dtype), expect_threads(threads);
  for (const Borrowed* index : {&labels, &rows, &source, &offsets}) index->expect_dtype(DType::i32);
  for (const Borrowed* tensor : {&x, &labels, &rows, &source, &offsets, &out}) tensor->expect_contiguous();
  for (int d = 0; d < 2; ++d) labels.expect_size(d, x.shape[d], "as in x");
  const int64_t batch = rows.shape[0], room = out.shape[0];
  source.expect_size(0, batch, "the rows"), offsets.expect_size(0, batch + 1, "one more than rows");
  out.expect_size(1, x.shape[2], "the width of x");
  PYSMDL_CHECK(out.device == DeviceKind::cpu, "pack_tokens in C++ is for CPU tensors");
  expect_output(out, {&x, &labels, &rows, &source, &offsets});
  const Index inputs(source), places(offsets);
  inputs.expect_within(0, x.shape[0], [&](size_t b, int32_t input) {
    return message("source[", b, "] is ", input, ", x holds ", x.shape[0], " inputs");
  });
  const int32_t* place = places.data();
  PYSMDL_CHECK(place[0] == 0 && place[batch] <= room, "offsets must begin with 0 and end within the ", room,
               " rows of out, got ", place[0], " to ", place[batch]);
  for (int64_t b = 0; b < batch; ++b)
    PYSMDL_CHECK(place[b] <= place[b + 1], "offsets must ascend, got ", place[b + 1], " after ", place[b]);

  PackTokensParams p{};
  p.x = x.as<char>(), p.out = out.as<char>();
  p.labels = labels.as<int32_t>(), p.rows = rows.as<int32_t>(), p.source = inputs.data(), p.offsets = place;
  p.batch = batch, p.words = rows.shape[1], p.tokens = x.shape[1], p.room = room;
  p.token_bytes = x.shape[2] * size_of(x.dtype);
  launch(out, [&] { cpu::pack_tokens(p, threads); }, [] {});
}

void inverse_haar(py::handle packed_, int64_t levels, py::handle out_, int threads) {
  const Borrowed packed = borrow(packed_, "packed"), out = borrow(out_, "out");
  packed.expect_dims(4), out.expect_dims(4), packed.expect_dtype(DType::f32), out.expect_dtype(DType::f32);
  packed.expect_contiguous(), out.expect_contiguous(), expect_threads(threads);
  for (int d = 0; d < 2; ++d) out.expect_size(d, packed.shape[d], "as in packed");
  PYSMDL_CHECK(1 <= levels && levels <= InverseHaarParams::kMostLevels, "levels must be 1 to ",
               InverseHaarParams::kMostLevels, ", got ", levels);
  for (int d = 2; d < 4; ++d) {
    const int64_t least = packed.shape[d] >> levels << levels;
    PYSMDL_CHECK(least == packed.shape[d], "packed must have sides that 2^levels divides, got shape ",
                 packed.shape_text());
    PYSMDL_CHECK(out.shape[d] <= packed.shape[d] && out.shape[d] > packed.shape[d] - (int64_t{1} << levels),
                 "out must have the sides of packed, or less than 2^levels fewer, got shape ", out.shape_text());
  }
  PYSMDL_CHECK(out.device == DeviceKind::cpu, "inverse_haar in C++ is for CPU tensors");
  expect_output(out, {&packed});

  InverseHaarParams p{};
  p.packed = packed.as<float>(), p.out = out.as<float>();
  p.planes = packed.shape[0] * packed.shape[1], p.rows = packed.shape[2], p.columns = packed.shape[3];
  p.height = out.shape[2], p.width = out.shape[3], p.levels = levels;
  launch(out, [&] { cpu::inverse_haar(p, threads); }, [] {});
}

}  // namespace

void register_kernels(py::module_& m) {
  using py::arg;
  m.def("compose", &compose, arg("x"), arg("baseline"), arg("labels"), arg("rows"), arg("source"), arg("out"),
        arg("threads"), arg("stream") = 0);
  m.def("blend", &blend, arg("x"), arg("baseline"), arg("labels"), arg("weights"), arg("source"), arg("out"),
        arg("threads"));
  m.def("class_scores", &class_scores, arg("logits"), arg("targets"), arg("out"), arg("entropy"), arg("threads"),
        arg("stream") = 0);
  m.def("distance_gains", &distance_gains, arg("distances"), arg("nearest"), arg("members"), arg("candidates"),
        arg("out"), arg("stream") = 0);
  m.def("match_boxes", &match_boxes, arg("boxes"), arg("confidences"), arg("target"), arg("labels"), arg("mode"),
        arg("out"), arg("floor"), arg("threads"), arg("stream") = 0);
  m.def("pack_tokens", &pack_tokens, arg("x"), arg("labels"), arg("rows"), arg("source"), arg("offsets"), arg("out"),
        arg("threads"));
  m.def("inverse_haar", &inverse_haar, arg("packed"), arg("levels"), arg("out"), arg("threads"));
}

}  // namespace pysmdl
