// The engine on a GPU as Python sees it: addresses of device memory, checked by the caller
// (zkcore.field.cuda), and a stream. A column crosses as (address, type, entries), types in the order of
// ColumnType.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <bit>
#include <optional>
#include <tuple>

#include "scalars.hpp"
#include "side_by_side.hpp"
#ifdef ZKCORE_HAS_CUDA
#include "zkcore/cuda.hpp"
#include "zkcore/hash_to_curve.hpp"
#include "zkcore/ternary_cuda.hpp"
#endif

namespace py = pybind11;

#ifdef ZKCORE_HAS_CUDA

namespace zkcore {
namespace {

using Address = uintptr_t;
using PyColumn = std::tuple<Address, int, size_t>;
using PyTerms = std::vector<std::pair<py::bytes, PyColumn>>;
constexpr size_t kMaxVariables = 40;

Column column(const PyColumn& c) {
  const auto& [address, type, size] = c;
  if (type < 0 || type > static_cast<int>(ColumnType::kField)) fail("column: unknown type");
  return {static_cast<ColumnType>(type), reinterpret_cast<const void*>(address), size};
}

Column field(const PyColumn& c) {
  const Column out = column(c);
  if (out.type != ColumnType::kField) throw py::type_error("expected a field array");
  return out;
}

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}
cuda::Stream stream_at(Address address) { return reinterpret_cast<cuda::Stream>(address); }

std::vector<LinearTerm> linear_terms(const PyTerms& terms, size_t length) {
  std::vector<LinearTerm> out;
  for (const auto& [coefficient, c] : terms) {
    out.emplace_back(scalar(coefficient, "coefficient"), column(c));
    if (out.back().second.size != length) fail("column: wrong number of entries");
  }
  return out;
}

// ---- memory

// Kept for ever: device memory may be given back after the interpreter has gone.
void py_set_allocator(const py::function& allocate, const py::function& release) {
  auto* hooks = new std::pair<py::function, py::function>(allocate, release);
  cuda::set_allocator({[hooks](size_t bytes, cuda::Stream stream) {
                         const py::gil_scoped_acquire acquire;
                         return at<void>(
                             hooks->first(bytes, reinterpret_cast<Address>(stream)).cast<Address>());
                       },
                       [hooks](void* data, cuda::Stream) {
                         if (!Py_IsInitialized()) return;
                         const py::gil_scoped_acquire acquire;
                         hooks->second(reinterpret_cast<Address>(data));
                       }});
}

// ---- columns

void py_from_ints(const PyColumn& values, Address out, Address stream) {
  const Column c = column(values);
  const py::gil_scoped_release release;
  cuda::from_ints(c, at<Fr>(out), stream_at(stream));
}

void py_eq_table(const py::bytes& point, const py::bytes& scale, Address out, Address stream) {
  const std::vector<Fr> w = scalars(point, "point");
  const Fr factor = scalar(scale, "scale");
  if (w.size() > kMaxVariables) fail("point: too many coordinates");
  const py::gil_scoped_release release;
  cuda::eq_table(w, factor, at<Fr>(out), stream_at(stream));
}

void py_eq_sum(const std::vector<std::pair<py::bytes, py::bytes>>& points,
               const std::optional<PyColumn>& mask, size_t length, Address out, Address stream) {
  if (points.empty() || points.size() > cuda::kMostEqTables) fail("points: too few or too many");
  std::vector<cuda::ScaledPoint> list;
  for (const auto& [scale, point] : points) {
    list.emplace_back(scalar(scale, "scale"), scalars(point, "point"));
    const size_t variables = list.back().second.size();
    if (variables > kMaxVariables || size_t{1} << variables != length)
      fail("point: wrong number of coordinates");
  }
  const int8_t* chosen = nullptr;
  if (mask) {
    const Column m = column(*mask);
    if (m.type != ColumnType::kInt8) throw py::type_error("mask: expected int8");
    if (m.size != length) fail("mask: wrong number of entries");
    chosen = static_cast<const int8_t*>(m.data);
  }
  const py::gil_scoped_release release;
  cuda::eq_sum(list, chosen, at<Fr>(out), stream_at(stream));
}

using PyMask = std::pair<PyColumn, std::vector<int64_t>>;  // with its strides

void py_eq_by_row(const PyColumn& index, int64_t first, uint32_t size, const std::vector<size_t>& shape,
                  const std::optional<PyMask>& mask, const std::vector<py::bytes>& points, Address out,
                  Address stream) {
  cuda::LookedUp cells{column(index), first, size, shape, nullptr, std::vector<int64_t>(shape.size(), 0)};
  if (cells.index.type == ColumnType::kField) throw py::type_error("index: expected integers");
  if (size == 0) fail("size: a table has rows");
  if (shape.size() > cuda::kMaxAxes) fail("shape: too many axes");
  size_t entries = 1, variables = 0;
  for (const size_t n : shape) {
    entries *= n;
    variables += n ? static_cast<size_t>(std::bit_width(n - 1)) : 0;
  }
  if (entries != cells.index.size || variables > kMaxVariables) fail("index: wrong number of entries");
  if (mask) {
    const Column m = column(mask->first);
    if (m.type != ColumnType::kInt8) throw py::type_error("mask: expected int8");
    if (mask->second.size() != shape.size()) fail("mask: one stride for each axis");
    cells.mask = static_cast<const int8_t*>(m.data);
    cells.strides = mask->second;
  }
  if (points.empty()) fail("points: there is no point");
  std::vector<std::vector<Fr>> list;
  for (const auto& point : points) {
    list.push_back(scalars(point, "point"));
    if (list.back().size() != variables) fail("point: wrong number of coordinates");
  }
  const py::gil_scoped_release release;
  cuda::eq_by_row(cells, list, at<Fr>(out), stream_at(stream));
}

void py_contract(const PyColumn& values, size_t outer, size_t inner, const PyColumn& weights, Address out,
                 Address stream) {
  const Column c = column(values);
  const Column w = field(weights);
  const auto product = static_cast<u128>(outer) * inner;
  if (product >> 48 || static_cast<u128>(c.size) != product * w.size) {
    fail("column: " + std::to_string(c.size) + " entries are not outer * (number of weights) * inner");
  }
  const py::gil_scoped_release release;
  cuda::contract(c, outer, w.size, inner, static_cast<const Fr*>(w.data), at<Fr>(out), stream_at(stream));
}

using PyFold = std::tuple<size_t, size_t, size_t, PyColumn>;  // outer, number of weights, inner, weights

void py_contract_all(const std::vector<std::pair<PyColumn, std::vector<PyFold>>>& arrays, size_t room,
                     Address out, Address stream) {
  std::vector<std::pair<Column, std::vector<cuda::Fold>>> list;
  size_t results = 0;
  for (const auto& [values, own] : arrays) {
    const Column c = column(values);
    if (own.empty()) fail("folds: at least one is needed");
    std::vector<cuda::Fold> folds;
    size_t left = c.size;
    for (const auto& [outer, count, inner, weights] : own) {
      const Column w = field(weights);
      const auto product = static_cast<u128>(outer) * inner;
      if (product >> 48 || product == 0 || static_cast<u128>(left) != product * count || w.size < count) {
        fail("folds: entries are not outer * (number of weights) * inner");
      }
      left = outer * inner;
      folds.push_back({outer, count, inner, static_cast<const Fr*>(w.data)});
    }
    results += left;
    list.emplace_back(c, std::move(folds));
  }
  if (results != room) fail("out: wrong number of entries");
  const py::gil_scoped_release release;
  Fr* next = at<Fr>(out);
  for (const auto& [c, folds] : list) {
    cuda::contract_all(c, folds, next, stream_at(stream));
    next += folds.back().outer * folds.back().inner;
  }
}

py::bytes py_dot(const PyColumn& a, const PyColumn& b, Address stream) {
  const Column x = column(a), y = column(b);
  if (x.size != y.size) fail("weights: wrong number of entries");
  Fr total;
  {
    const py::gil_scoped_release release;
    total = cuda::dot(x, y, stream_at(stream));
  }
  return to_bytes(total);
}

void py_combine(const PyTerms& terms, const py::bytes& constant, size_t length, Address out, Address stream) {
  const std::vector<LinearTerm> list = linear_terms(terms, length);
  const Fr start = scalar(constant, "constant");
  const py::gil_scoped_release release;
  cuda::combine(list, start, length, at<Fr>(out), stream_at(stream));
}

void py_multiply(const PyColumn& a, const PyColumn& b, Address out, Address stream) {
  const Column x = column(a), y = column(b);
  if (x.size != y.size) fail("b: wrong number of entries");
  const py::gil_scoped_release release;
  cuda::multiply(x, y, at<Fr>(out), stream_at(stream));
}

void py_batch_inverse(const PyColumn& values, Address out, Address stream) {
  const Column c = field(values);
  const py::gil_scoped_release release;
  cuda::batch_inverse(static_cast<const Fr*>(c.data), c.size, at<Fr>(out), stream_at(stream));
}

void py_scatter_add(const PyColumn& index, const PyColumn& values, size_t size, Address out, Address stream) {
  const Column i = column(index), v = field(values);
  if (i.type != ColumnType::kInt64) throw py::type_error("index: expected int64");
  if (i.size != v.size) fail("values: wrong number of entries");
  bool inside = true;
  {
    const py::gil_scoped_release release;
    inside = cuda::scatter_add(static_cast<const int64_t*>(i.data), static_cast<const Fr*>(v.data), i.size,
                               size, at<Fr>(out), stream_at(stream));
  }
  if (!inside) fail("index: an entry lies outside [0, " + std::to_string(size) + ")");
}

size_t py_multiply_chains(const PyColumn& values, int rounds, Address out, Address stream) {
  const Column c = field(values);
  const py::gil_scoped_release release;
  return cuda::multiply_chains(static_cast<const Fr*>(c.data), c.size, rounds, at<Fr>(out),
                               stream_at(stream));
}

// ---- lookups

Column integers(const PyColumn& c) {
  const Column out = column(c);
  if (out.type == ColumnType::kField) throw py::type_error("expected integers");
  return out;
}

void py_lookup_values(const PyColumn& index, int64_t first, const PyColumn& table, Address out,
                      Address stream) {
  const Column c = integers(index), t = integers(table);
  if (t.size == 0 || t.size >> 32) fail("table: expected 1 to 2^32 - 1 rows");
  const py::gil_scoped_release release;
  cuda::lookup_values(c, first, t, at<void>(out), stream_at(stream));
}

using PySpread = std::tuple<int64_t, PyColumn, std::vector<int64_t>, std::vector<size_t>>;

void py_affine(const std::vector<PySpread>& terms, int64_t constant, const std::vector<size_t>& real,
               const std::vector<size_t>& shape, std::pair<int, int> digit, const PyColumn& out, Address lost,
               Address stream) {
  const size_t axes = shape.size();
  if (axes > cuda::kMaxAxes || terms.size() > cuda::kMaxTerms) fail("affine: too many axes or terms");
  if (real.size() != axes) fail("real: one size for each axis");
  cuda::Affine64 form{{}, constant, real, shape, digit.first, digit.second};
  for (const auto& [coefficient, c, strides, stored] : terms) {
    if (strides.size() != axes || stored.size() != axes) fail("term: one stride and size for each axis");
    form.terms.push_back({coefficient, integers(c), strides, stored});
  }
  const Column made = integers(out);
  size_t size = 1;
  for (const size_t n : shape) size *= n;
  if (made.size != size) fail("out: wrong number of entries");
  if (digit.first < 0 || digit.first > 62 || digit.second < 0 || digit.second > 62)
    fail("digit: 0 to 62 bits");
  const py::gil_scoped_release release;
  cuda::affine(form, made.type, const_cast<void*>(made.data), at<int32_t>(lost), stream_at(stream));
}

void py_tally_rows(const PyColumn& index, const std::optional<PyColumn>& chosen, int64_t first, uint32_t size,
                   Address out, Address stream) {
  const Column c = integers(index);
  const int8_t* mask = nullptr;
  if (chosen) {
    const Column m = integers(*chosen);
    if (m.type != ColumnType::kInt8) throw py::type_error("chosen: expected int8");
    if (m.size != c.size) fail("chosen: wrong number of entries");
    mask = static_cast<const int8_t*>(m.data);
  }
  const py::gil_scoped_release release;
  cuda::tally_rows(c, mask, first, size, at<int64_t>(out), stream_at(stream));
}

// ---- products of integer matrices by GEMMs of signed bytes

void py_split_bytes(const PyColumn& matrix, size_t rows, size_t steps, bool across, unsigned digits,
                    Address out, Address sums, Address stream) {
  const Column c = integers(matrix);
  if (c.size != rows * steps) fail("matrix: wrong number of entries");
  if (digits < 1 || digits > 4 || steps % 4 != 0) fail("one to four digits, and steps by four");
  const py::gil_scoped_release release;
  cuda::split_bytes(c, rows, steps, across, digits, at<int8_t>(out), at<int64_t>(sums), stream_at(stream));
}

using PyCorrection = std::pair<Address, uint64_t>;

void py_join_products(Address products,
                      const std::tuple<size_t, unsigned, unsigned, unsigned, unsigned>& shape,
                      const PyCorrection& of_rows, const PyCorrection& of_columns, int64_t constant,
                      Address out, Address stream) {
  const auto [rows, columns, inner, row_digits, column_digits] = shape;
  if (inner == 0 || inner % 4 != 0 || columns % inner != 0) fail("columns and inner: multiples of four");
  const cuda::Product own{rows, columns, inner, row_digits, column_digits};
  const cuda::Correction left{at<int64_t>(of_rows.first), of_rows.second};
  const cuda::Correction right{at<int64_t>(of_columns.first), of_columns.second};
  const py::gil_scoped_release release;
  cuda::join_products(at<int32_t>(products), own, left, right, constant, at<int64_t>(out), stream_at(stream));
}

// ---- sumcheck and fraction tree

class PyProver {
 public:
  explicit PyProver(std::unique_ptr<cuda::Prover> state) : state_(std::move(state)) {}
  py::bytes round() {
    require_unbound();
    return values([this] { return state_->round(); });
  }
  void bind(const py::bytes& challenge) {
    require_unbound();
    const Fr r = scalar(challenge, "challenge");
    const py::gil_scoped_release release;
    state_->bind(r);
  }
  py::bytes finals() {
    if (state_->variables() > 0) throw std::runtime_error("not every variable is bound");
    return values([this] { return state_->finals(); });
  }
  cuda::Prover& sumcheck() { return *state_; }

 private:
  template <class Body>
  static py::bytes values(Body body) {
    std::vector<Fr> out;
    {
      const py::gil_scoped_release release;
      out = body();
    }
    return to_bytes(out);
  }
  void require_unbound() const {
    if (state_->variables() == 0) throw std::runtime_error("no variable is left");
  }
  std::unique_ptr<cuda::Prover> state_;
};

std::unique_ptr<PyProver> py_sumcheck(const std::vector<PyColumn>& columns,
                                      const std::vector<std::pair<py::bytes, std::vector<int>>>& terms,
                                      int degree, const std::optional<py::bytes>& eq_point, Address stream) {
  if (columns.empty()) fail("tables: at least one is needed");
  if (degree < 1 || degree > kMaxDegree) fail("degree: expected 1 to " + std::to_string(kMaxDegree));
  std::vector<Column> tables;
  for (const PyColumn& c : columns) tables.push_back(column(c));
  const size_t length = tables[0].size;
  if (!std::has_single_bit(length))
    fail("tables: length " + std::to_string(length) + " is not a power of two");
  for (const Column& table : tables) {
    if (table.size != length) fail("tables: lengths differ");
  }
  const int variables = std::countr_zero(length);
  std::optional<std::vector<Fr>> point;
  if (eq_point) {
    point = scalars(*eq_point, "eq_point");
    if (point->size() != static_cast<size_t>(variables)) fail("eq_point: wrong number of coordinates");
  }
  std::vector<SumcheckTerm> list;
  for (const auto& [coefficient, factors] : terms) {
    for (const int j : factors) {
      if (j < 0 || static_cast<size_t>(j) >= tables.size())
        fail("terms: there is no table " + std::to_string(j));
    }
    if (factors.size() + (point ? 1 : 0) > static_cast<size_t>(degree))
      fail("terms: a term exceeds the degree");
    list.push_back({scalar(coefficient, "coefficient"), factors});
  }
  const py::gil_scoped_release release;
  return std::make_unique<PyProver>(cuda::sumcheck(std::move(tables), variables, std::move(list), degree,
                                                   std::move(point), stream_at(stream)));
}

using PyRun = std::tuple<PyColumn, py::bytes, PyTerms>;

std::unique_ptr<cuda::FractionTree> py_fraction_tree(const std::vector<PyRun>& runs, int log_size,
                                                     const std::tuple<int, size_t, size_t>& plan,
                                                     Address stream) {
  if (log_size < 0 || log_size > static_cast<int>(kMaxVariables)) fail("log_size: out of range");
  std::vector<cuda::LeafRun> leaves;
  size_t room = size_t{1} << log_size;
  for (const auto& [numerator, constant, denominator] : runs) {
    const Column p = column(numerator);
    if (p.size > room) fail("runs: more leaves than 2^log_size");
    room -= p.size;
    leaves.push_back({p.size, p, scalar(constant, "constant"), linear_terms(denominator, p.size)});
  }
  const py::gil_scoped_release release;
  const auto [stored, most, chunk] = plan;
  return cuda::fraction_tree(std::move(leaves), log_size, {stored, most, chunk}, stream_at(stream));
}

py::bytes py_tree_root(const cuda::FractionTree& tree) {
  const auto [p, q] = tree.root();
  return to_bytes({p, q});
}

std::unique_ptr<PyProver> py_tree_layer(cuda::FractionTree& tree, int depth, const py::bytes& point,
                                        const py::bytes& batch) {
  if (depth < 0 || depth >= tree.log_size()) fail("depth: no such layer");
  std::vector<Fr> w = scalars(point, "point");
  if (w.size() != static_cast<size_t>(depth)) fail("point: wrong number of coordinates");
  const Fr factor = scalar(batch, "batch");
  const py::gil_scoped_release release;
  return std::make_unique<PyProver>(tree.layer(std::move(w), factor));
}

// ---- curve

void py_msm(Address points, const PyColumn& scalars, Address out, Address stream) {
  const Column s = field(scalars);
  const py::gil_scoped_release release;
  cuda::msm(at<const Affine>(points), static_cast<const Fr*>(s.data), s.size, at<Affine>(out),
            stream_at(stream));
}

void py_hash_to_curve(const py::bytes& dst, const py::bytes& prefix, uint64_t start, size_t count,
                      Address out, Address stream) {
  const std::string_view tag = dst;
  const std::string_view message = prefix;
  if (tag.empty()) fail("dst is empty");
  if (count > 0 && start + (count - 1) < start) fail("start + count exceeds 64 bits");
  const py::gil_scoped_release release;
  std::vector<FieldPair> pairs(count);
  hash_to_field(tag, message, start, count, pairs.data());
  cuda::map_to_curve(curve_map(), pairs.empty() ? nullptr : pairs[0].data(), count, at<Affine>(out),
                     stream_at(stream));
}

void py_commit_rows(Address generators, const PyColumn& rows, size_t n, size_t width, const PyColumn& blinds,
                    Address blinder, Address out, Address stream) {
  const Column values = column(rows), b = field(blinds);
  if (values.size != n * width || b.size != n) fail("rows and blinds differ in number");
  const py::gil_scoped_release release;
  cuda::commit_rows(at<const Affine>(generators), values, n, width, static_cast<const Fr*>(b.data),
                    at<const Affine>(blinder), at<Affine>(out), stream_at(stream));
}

// sums: room for n points in XYZZ coordinates.
void py_sum_rows(Address generators, const PyColumn& rows, size_t n, size_t width, int magnitude_bits,
                 Address sums, Address stream) {
  const Column values = column(rows);
  if (values.type == ColumnType::kField) throw py::type_error("rows: expected integers");
  if (values.size != n * width || width == 0) fail("rows: wrong number of entries");
  if (magnitude_bits < 1 || magnitude_bits > 64) fail("magnitude_bits: out of range");
  const py::gil_scoped_release release;
  cuda::sum_rows(at<const Affine>(generators), values, n, width, magnitude_bits, at<Xyzz>(sums),
                 stream_at(stream));
}

// The entries, if they are int8 and all of them -1, 0 or 1.
const int8_t* ternary(const Column& c, cuda::Stream stream) {
  if (c.type != ColumnType::kInt8) throw py::type_error("expected int8");
  const auto* entries = static_cast<const int8_t*>(c.data);
  if (!cuda::is_ternary(entries, c.size, stream)) fail("an entry is not -1, 0 or 1");
  return entries;
}

void py_contract_ternary(const PyColumn& values, size_t outer, size_t inner, const PyColumn& weights,
                         Address out, Address stream) {
  const Column c = column(values), w = field(weights);
  if (c.size != outer * w.size * inner) fail("column: entries are not outer * (number of weights) * inner");
  const int8_t* entries = ternary(c, stream_at(stream));
  const py::gil_scoped_release release;
  cuda::contract_ternary(entries, outer, w.size, inner, static_cast<const Fr*>(w.data), at<Fr>(out),
                         stream_at(stream));
}

size_t py_subset_sums_count(size_t generators, int g) {
  if (g < 1 || g > kMostTrits) fail("subset sums: a group has 1 to 5 generators");
  return cuda::SubsetSums::count(generators, g);
}

void py_subset_sums(Address generators, size_t n, int g, Address out, Address stream) {
  const py::gil_scoped_release release;
  cuda::subset_sums(at<const Affine>(generators), n, g, at<Affine>(out), stream_at(stream));
}

void py_commit_ternary(Address sums, int g, const PyColumn& rows, size_t n, size_t width,
                       const PyColumn& blinds, Address blinder, Address out, Address stream) {
  const Column values = column(rows), b = field(blinds);
  if (values.size != n * width || b.size != n) fail("rows and blinds differ in number");
  const int8_t* entries = ternary(values, stream_at(stream));
  const py::gil_scoped_release release;
  cuda::commit_ternary({at<const Affine>(sums), g}, entries, n, width, static_cast<const Fr*>(b.data),
                       at<const Affine>(blinder), at<Affine>(out), stream_at(stream));
}

void py_fold_points(Address points, const py::bytes& weights, size_t n, Address out, Address stream) {
  const std::vector<Fr> w = scalars(weights, "weights");
  const py::gil_scoped_release release;
  cuda::fold_points(at<const Affine>(points), w.data(), w.size(), n, at<Affine>(out), stream_at(stream));
}

}  // namespace
}  // namespace zkcore

void bind_cuda(py::module_& parent) {
  using namespace zkcore;
  parent.def("has_cuda", [] { return true; }, "Whether the engine was built with its CUDA part.");
  py::module_ m = parent.def_submodule("cuda", "The engine on a GPU; use it through zkcore.field.cuda.");
  m.def("missing", &cuda::missing, "Why there is no usable device, or None.");
  m.def("set_allocator", &py_set_allocator, py::arg("allocate"), py::arg("release"));
  m.def("plan_with", &cuda::plan_with);
  m.def("from_ints", &py_from_ints);
  m.def("eq_table", &py_eq_table);
  m.def("eq_sum", &py_eq_sum);
  m.def("eq_by_row", &py_eq_by_row);
  m.def("contract", &py_contract);
  m.def("contract_all", &py_contract_all);
  m.def("dot", &py_dot);
  m.def("combine", &py_combine);
  m.def("multiply", &py_multiply);
  m.def("batch_inverse", &py_batch_inverse);
  m.def("scatter_add", &py_scatter_add);
  m.def("lookup_values", &py_lookup_values);
  m.def("affine", &py_affine);
  m.def("tally_rows", &py_tally_rows);
  m.def("split_bytes", &py_split_bytes);
  m.def("join_products", &py_join_products);
  m.def("multiply_chains", &py_multiply_chains);
  m.def("sumcheck", &py_sumcheck);
  m.def("fraction_tree", &py_fraction_tree);
  m.def("hash_to_curve", &py_hash_to_curve);
  m.def("msm", &py_msm);
  m.def("commit_rows", &py_commit_rows);
  m.def("sum_rows", &py_sum_rows);
  m.def("contract_ternary", &py_contract_ternary);
  m.def("subset_sums_count", &py_subset_sums_count);
  m.def("subset_sums", &py_subset_sums);
  m.def("commit_ternary", &py_commit_ternary);
  m.def("fold_points", &py_fold_points);
  py::class_<PyProver>(m, "Prover")
      .def("round", &PyProver::round)
      .def("bind", &PyProver::bind)
      .def("finals", &PyProver::finals);
  PySideBySide<PyProver>::add_to(m);
  py::class_<cuda::FractionTree>(m, "FractionTree")
      .def("root", &py_tree_root)
      .def("layer", &py_tree_layer, py::keep_alive<0, 1>());
}

#else

void bind_cuda(py::module_& parent) {
  parent.def("has_cuda", [] { return false; }, "Whether the engine was built with its CUDA part.");
}

#endif
