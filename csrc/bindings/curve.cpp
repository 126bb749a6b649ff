// The curve half of the engine as Python sees it; arguments are checked here. Scalars cross as in field.cpp.
#include <algorithm>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "zkcore/encoding.hpp"
#include "zkcore/group_counters.hpp"
#include "zkcore/hash_to_curve.hpp"
#include "zkcore/msm.hpp"
#include "zkcore/ternary.hpp"

namespace py = pybind11;

namespace zkcore {
namespace {

constexpr py::ssize_t kPointLimbs = sizeof(Affine) / sizeof(uint64_t);
// Indices of points are kept in 31 bits.
constexpr size_t kMostPoints = size_t{1} << 31;

// ---- arguments

// Rows of limbs [n, limbs].
const void* limb_rows(const py::array& array, py::ssize_t limbs, const char* name) {
  if (!is_uint64(array)) throw py::type_error(std::string(name) + ": expected uint64");
  require_plain(array, name);
  if (array.ndim() != 2 || array.shape(1) != limbs) {
    fail(std::string(name) + ": expected shape [n, " + std::to_string(limbs) + "]");
  }
  return array.data();
}

struct PointArray {
  const Affine* data;
  size_t size;
};

PointArray points_of(const py::array& array, const char* name) {
  const auto* data = static_cast<const Affine*>(limb_rows(array, kPointLimbs, name));
  const size_t size = static_cast<size_t>(array.shape(0));
  if (size >= kMostPoints) fail(std::string(name) + ": too many points");
  return {data, size};
}

struct ScalarArray {
  const Fr* data;
  size_t size;
};

ScalarArray scalars_of(const py::array& array, const char* name) {
  const auto* data = static_cast<const Fr*>(limb_rows(array, Fr::N, name));
  return {data, static_cast<size_t>(array.shape(0))};
}

// Integers [n, w] or field elements [n, w, 4].
Column rows_of(const py::array& array, const char* name) {
  require_plain(array, name);
  const bool field = is_uint64(array);
  const ColumnType type = field ? ColumnType::kField : integer_type(array, name, "uint64 [n, w, 4]");
  if (array.ndim() != (field ? 3 : 2) || (field && array.shape(2) != Fr::N)) {
    fail(std::string(name) + (field ? ": expected shape [n, w, 4]" : ": expected shape [n, w]"));
  }
  return {type, array.data(), static_cast<size_t>(array.shape(0) * array.shape(1))};
}

// ---- results

using PointsOut = py::array_t<uint64_t>;

PointsOut new_points(size_t n) { return PointsOut({static_cast<py::ssize_t>(n), kPointLimbs}); }
PointsOut new_point() { return PointsOut(kPointLimbs); }

// Runs body(Affine* out) without the GIL.
template <class Body>
PointsOut compute(PointsOut out, Body body) {
  auto* data = reinterpret_cast<Affine*>(out.mutable_data());
  {
    const py::gil_scoped_release release;
    body(data);
  }
  return out;
}

// ---- verbs

PointsOut py_hash_to_curve(const py::bytes& dst, const py::bytes& prefix, uint64_t start, size_t count) {
  const std::string_view tag = dst;
  const std::string_view message = prefix;
  if (tag.empty()) fail("dst is empty");
  if (count > 0 && start + (count - 1) < start) fail("start + count exceeds 64 bits");
  return compute(new_points(count), [&](Affine* out) { hash_to_curve(tag, message, start, count, out); });
}

PointsOut py_hash_message(const py::bytes& dst, const py::bytes& message) {
  const std::string_view tag = dst;
  const std::string_view text = message;
  return compute(new_point(), [&](Affine* out) { *out = hash_to_curve(tag, text); });
}

py::bytes py_expand_message(const py::bytes& message, const py::bytes& dst, size_t size) {
  return py::bytes(
      expand_message_xmd(static_cast<std::string_view>(message), static_cast<std::string_view>(dst), size));
}

py::bytes py_encode(const py::array& points) {
  const PointArray p = points_of(points, "points");
  std::string out(p.size * kEncodedBytes, '\0');
  {
    const py::gil_scoped_release release;
    encode_points(p.data, p.size, reinterpret_cast<uint8_t*>(out.data()));
  }
  return py::bytes(out);
}

PointsOut py_decode(const py::bytes& data) {
  const std::string_view bytes = data;
  if (bytes.size() % kEncodedBytes != 0) {
    fail("point " + std::to_string(bytes.size() / kEncodedBytes) +
         ": wrong length, points are 48 bytes each");
  }
  const size_t n = bytes.size() / kEncodedBytes;
  return compute(new_points(n),
                 [&](Affine* out) { decode_points(reinterpret_cast<const uint8_t*>(bytes.data()), n, out); });
}

PointsOut py_msm(const py::array& points, const py::array& scalars) {
  const PointArray p = points_of(points, "points");
  const ScalarArray s = scalars_of(scalars, "scalars");
  if (p.size != s.size) fail("points and scalars differ in length");
  return compute(new_point(), [&](Affine* out) { *out = msm(p.data, s.data, p.size); });
}

struct RowArguments {
  PointArray generators;
  Column rows;
  size_t count, width;
  ScalarArray blinds;
};

// What every verb that commits to rows is given.
RowArguments row_arguments(const py::array& generators, const py::array& rows, const py::array& blinds,
                           const FixedBase& blinder) {
  const RowArguments a = {points_of(generators, "generators"), rows_of(rows, "rows"),
                          static_cast<size_t>(rows.shape(0)), static_cast<size_t>(rows.shape(1)),
                          scalars_of(blinds, "blinds")};
  if (a.generators.size < a.width) fail("generators: fewer than the width of the rows");
  if (a.blinds.size != a.count) fail("blinds: one is needed for every row");
  if (blinder.bases() == 0) fail("blinder: has no base");
  return a;
}

PointsOut py_commit_rows(const py::array& generators, const py::array& rows, const py::array& blinds,
                         const FixedBase& blinder) {
  const RowArguments a = row_arguments(generators, rows, blinds, blinder);
  return compute(new_points(a.count), [&](Affine* out) {
    commit_rows(a.generators.data, a.rows, a.count, a.width, a.blinds.data, blinder, out);
  });
}

PointsOut py_commit_ternary(TernaryRows& self, const py::array& generators, const py::array& rows,
                            const py::array& blinds, const FixedBase& blinder) {
  const RowArguments a = row_arguments(generators, rows, blinds, blinder);
  if (a.rows.type != ColumnType::kInt8) throw py::type_error("rows: expected int8");
  const auto* entries = static_cast<const int8_t*>(a.rows.data);
  if (!is_ternary(entries, a.rows.size)) fail("rows: an entry is not -1, 0 or 1");
  return compute(new_points(a.count), [&](Affine* out) {
    self.commit(a.generators.data, a.generators.size, entries, a.count, a.width, a.blinds.data, blinder, out);
  });
}

PointsOut py_fold_points(const py::array& points, const py::array& weights) {
  const PointArray p = points_of(points, "points");
  const ScalarArray w = scalars_of(weights, "weights");
  if (w.size == 0 || p.size % w.size != 0) fail("points: the number is no multiple of the number of weights");
  const size_t n = p.size / w.size;
  return compute(new_points(n), [&](Affine* out) { fold_points(p.data, w.data, w.size, n, out); });
}

FixedBase* py_fixed_base(const py::array& points) {
  const PointArray p = points_of(points, "points");
  const py::gil_scoped_release release;
  return new FixedBase(p.data, p.size);
}

PointsOut py_combine(const FixedBase& self, const py::bytes& numbers, bool in_team) {
  const std::vector<Fr> s = scalars(numbers, "scalars");
  if (s.size() > self.bases()) fail("more scalars than bases");
  return compute(new_point(), [&](Affine* out) { *out = self.combine(s.data(), s.size(), in_team); });
}

// sums: [n, 24], points in XYZZ coordinates as cuda::sum_rows leaves them.
PointsOut py_blind_rows(const py::array& sums, const py::bytes& blinds, const FixedBase& blinder,
                        bool in_team) {
  constexpr py::ssize_t kLimbs = sizeof(Xyzz) / sizeof(uint64_t);
  const auto* data = static_cast<const Xyzz*>(limb_rows(sums, kLimbs, "sums"));
  const auto n = static_cast<size_t>(sums.shape(0));
  const std::vector<Fr> b = scalars(blinds, "blinds");
  if (b.size() != n) fail("blinds: one is needed for every row");
  if (blinder.bases() == 0) fail("blinder: has no base");
  return compute(new_points(n), [&](Affine* out) {
    std::vector<Xyzz> own(data, data + n);
    blinder.add_blinds(own.data(), b.data(), n, out, in_team);
  });
}

// [4096, 12]: the multiples of the first base.
PointsOut py_table(const FixedBase& self) {
  if (self.bases() == 0) fail("there is no base");
  return compute(new_points(FixedBase::kTableSize),
                 [&](Affine* out) { std::copy_n(self.table().data(), FixedBase::kTableSize, out); });
}

uint64_t py_group_doublings() { return group_doublings_done.load(); }

py::dict py_curve_counters() {
  py::dict counters;
  counters["group_adds"] = group_adds_done.load();
  return counters;
}

}  // namespace
}  // namespace zkcore

void bind_curve(py::module_& m) {
  using namespace zkcore;
  py::class_<FixedBase>(m, "FixedBase")
      .def(py::init(&py_fixed_base), py::arg("points"))
      .def("combine", &py_combine, py::arg("scalars"), py::arg("in_team") = false)
      .def("table", &py_table);
  py::class_<TernaryRows>(m, "TernaryRows")
      .def(py::init<>())
      .def("commit", &py_commit_ternary, py::arg("generators"), py::arg("rows"), py::arg("blinds"),
           py::arg("blinder"));
  m.def("hash_to_curve", &py_hash_to_curve, py::arg("dst"), py::arg("prefix"), py::arg("start"),
        py::arg("count"));
  m.def("hash_message_to_curve", &py_hash_message, py::arg("dst"), py::arg("message"));
  m.def("expand_message_xmd", &py_expand_message, py::arg("message"), py::arg("dst"), py::arg("size"));
  m.def("encode", &py_encode, py::arg("points"));
  m.def("decode", &py_decode, py::arg("data"));
  m.def("msm", &py_msm, py::arg("points"), py::arg("scalars"));
  m.def("commit_rows", &py_commit_rows, py::arg("generators"), py::arg("rows"), py::arg("blinds"),
        py::arg("blinder"));
  m.def("blind_rows", &py_blind_rows, py::arg("sums"), py::arg("blinds"), py::arg("blinder"),
        py::arg("in_team") = false);
  m.def("group_doublings", &py_group_doublings);
  m.def("fold_points", &py_fold_points, py::arg("points"), py::arg("weights"));
  m.def("curve_counters", &py_curve_counters);
}
