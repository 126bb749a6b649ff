// The polynomial half of the engine as Python sees it. Everything about the arguments is checked here: types,
// shapes, lengths, contiguity. Scalars cross as 32-byte little-endian integers below R, lists of them as one
// bytes object.
#include <pybind11/stl.h>

#include <bit>
#include <optional>
#include <string>

#include "arrays.hpp"
#include "side_by_side.hpp"
#include "zkcore/field_counters.hpp"
#include "zkcore/fraction_tree.hpp"
#include "zkcore/linear_forms.hpp"
#include "zkcore/multilinear.hpp"
#include "zkcore/rounds.hpp"
#include "zkcore/sumcheck.hpp"
#include "zkcore/ternary.hpp"

namespace py = pybind11;

namespace zkcore {
namespace {

using FieldArray = py::array_t<uint64_t>;
constexpr size_t kMaxVariables = 40;

// ---- arrays

Column column(const py::array& array, const char* name) {
  require_plain(array, name);
  const size_t size = static_cast<size_t>(array.size());
  if (!is_uint64(array)) return {integer_type(array, name, "uint64 [..., 4]"), array.data(), size};
  if (array.ndim() == 0 || array.shape(array.ndim() - 1) != Fr::N) {
    fail(std::string(name) + ": a field array has shape [..., 4]");
  }
  return {ColumnType::kField, array.data(), size / Fr::N};
}

Column field_column(const py::array& array, const char* name) {
  const Column c = column(array, name);
  if (c.type != ColumnType::kField) throw py::type_error(std::string(name) + ": expected a field array");
  return c;
}

const Fr* elements(const Column& c) { return static_cast<const Fr*>(c.data); }

void require_size(const Column& c, size_t size, const char* name) {
  if (c.size == size) return;
  fail(std::string(name) + ": " + std::to_string(c.size) + " entries where " + std::to_string(size) +
       " are needed");
}

FieldArray new_array(std::vector<py::ssize_t> shape) {
  shape.push_back(Fr::N);
  return FieldArray(shape);
}
FieldArray new_array(size_t length) {
  return new_array(std::vector<py::ssize_t>{static_cast<py::ssize_t>(length)});
}

Fr* elements(FieldArray& array) { return reinterpret_cast<Fr*>(array.mutable_data()); }

// Runs body without the GIL and returns `out`.
template <class Body>
FieldArray compute(FieldArray out, Body body) {
  Fr* data = elements(out);
  {
    const py::gil_scoped_release release;
    body(data);
  }
  return out;
}

using PyTerms = std::vector<std::pair<py::bytes, py::array>>;

std::vector<LinearTerm> linear_terms(const PyTerms& terms, size_t length, const char* name) {
  std::vector<LinearTerm> out;
  for (const auto& [coefficient, array] : terms) {
    out.emplace_back(scalar(coefficient, "coefficient"), column(array, name));
    require_size(out.back().second, length, name);
  }
  return out;
}

// ---- verbs

FieldArray py_from_ints(const py::array& values) {
  const Column c = column(values, "values");
  if (c.type == ColumnType::kField) throw py::type_error("values: expected integers");
  std::vector<py::ssize_t> shape(values.shape(), values.shape() + values.ndim());
  return compute(new_array(std::move(shape)), [&](Fr* out) { from_ints(c, out); });
}

FieldArray py_from_scalars(const py::bytes& data) {
  const std::vector<Fr> values = scalars(data, "values");
  return compute(new_array(values.size()), [&](Fr* out) { std::copy(values.begin(), values.end(), out); });
}

py::bytes py_to_scalars(const py::array& values) {
  const Column c = field_column(values, "values");
  return to_bytes(elements(c), c.size);
}

FieldArray py_from_wide_bytes(const py::bytes& data) {
  const std::string_view bytes = data;
  if (bytes.size() % 64 != 0) fail("data: pieces are 64 bytes each");
  const auto* in = reinterpret_cast<const uint8_t*>(bytes.data());
  return compute(new_array(bytes.size() / 64), [&](Fr* out) { from_wide_bytes(in, bytes.size() / 64, out); });
}

FieldArray py_eq_table(const py::bytes& point, const py::bytes& scale) {
  const std::vector<Fr> w = scalars(point, "point");
  if (w.size() > kMaxVariables) fail("point: too many coordinates");
  const Fr factor = scalar(scale, "scale");
  return compute(new_array(size_t{1} << w.size()), [&](Fr* out) { eq_table(w, factor, out); });
}

void require_product(const Column& c, size_t outer, size_t inner, const Column& weights) {
  const auto product = static_cast<u128>(outer) * inner;  // 128 bits: arguments may be absurd
  if (product >> 48 || static_cast<u128>(c.size) != product * weights.size) {
    fail("column: " + std::to_string(c.size) + " entries are not outer * (number of weights) * inner");
  }
}

FieldArray py_contract_ternary(const py::array& array, size_t outer, size_t inner, const py::array& weights) {
  const Column c = column(array, "column");
  const Column w = field_column(weights, "weights");
  require_product(c, outer, inner, w);
  if (c.type != ColumnType::kInt8) throw py::type_error("column: expected int8");
  const auto* entries = static_cast<const int8_t*>(c.data);
  if (!is_ternary(entries, c.size)) fail("column: an entry is not -1, 0 or 1");
  return compute(new_array(outer * inner),
                 [&](Fr* out) { contract_ternary(entries, outer, w.size, inner, elements(w), out); });
}

FieldArray py_contract(const py::array& array, size_t outer, size_t inner, const py::array& weights) {
  const Column c = column(array, "column");
  const Column w = field_column(weights, "weights");
  require_product(c, outer, inner, w);
  return compute(new_array(outer * inner),
                 [&](Fr* out) { contract(c, outer, w.size, inner, elements(w), out); });
}

py::bytes py_dot(const py::array& a, const py::array& b) {
  const Column x = column(a, "column");
  const Column y = column(b, "weights");
  require_size(y, x.size, "weights");
  Fr total;
  {
    const py::gil_scoped_release release;
    total = dot(x, y);
  }
  return to_bytes(total);
}

FieldArray py_combine(const PyTerms& terms, const py::bytes& constant, size_t length) {
  const LinearForm form(linear_terms(terms, length, "column"), scalar(constant, "constant"));
  return compute(new_array(length), [&](Fr* out) { combine(form, length, out); });
}

FieldArray py_multiply(const py::array& a, const py::array& b) {
  const Column x = column(a, "a");
  const Column y = column(b, "b");
  require_size(y, x.size, "b");
  return compute(new_array(x.size), [&](Fr* out) { multiply(x, y, out); });
}

FieldArray py_batch_inverse(const py::array& values) {
  const Column c = field_column(values, "values");
  std::vector<py::ssize_t> shape(values.shape(), values.shape() + values.ndim() - 1);
  return compute(new_array(std::move(shape)), [&](Fr* out) { batch_inverse(elements(c), c.size, out); });
}

FieldArray py_scatter_add(const py::array& index, const py::array& values, size_t size) {
  const Column i = column(index, "index");
  const Column v = field_column(values, "values");
  if (i.type != ColumnType::kInt64) throw py::type_error("index: expected int64");
  require_size(v, i.size, "values");
  const auto* targets = static_cast<const int64_t*>(i.data);
  for (size_t k = 0; k < i.size; ++k) {
    if (targets[k] < 0 || static_cast<uint64_t>(targets[k]) >= size) {
      fail("index: " + std::to_string(targets[k]) + " lies outside [0, " + std::to_string(size) + ")");
    }
  }
  return compute(new_array(size), [&](Fr* out) { scatter_add(targets, elements(v), i.size, size, out); });
}

// ---- sumcheck

// Guards the order of calls and keeps alive what the prover's state points into.
template <class State>
class Prover {
 public:
  Prover(std::unique_ptr<State> state, py::object inputs)
      : state_(std::move(state)), inputs_(std::move(inputs)) {}

  py::bytes round() const {
    require_unbound();
    std::vector<Fr> values;
    {
      const py::gil_scoped_release release;
      values = state_->round();
    }
    return to_bytes(values);
  }
  void bind(const py::bytes& challenge) {
    require_unbound();
    const Fr r = scalar(challenge, "challenge");
    const py::gil_scoped_release release;
    state_->bind(r);
  }
  py::bytes finals() const {
    if (state_->variables() > 0) throw std::runtime_error("not every variable is bound");
    return to_bytes(state_->finals());
  }
  State& sumcheck() { return *state_; }

 private:
  void require_unbound() const {
    if (state_->variables() == 0) throw std::runtime_error("no variable is left");
  }
  std::unique_ptr<State> state_;
  py::object inputs_;
};

using PySumcheck = Prover<Sumcheck>;
using PyLayer = Prover<FractionLayer>;

std::vector<SumcheckTerm> sumcheck_terms(const std::vector<std::pair<py::bytes, std::vector<int>>>& terms,
                                         size_t tables, int degree, bool eq) {
  std::vector<SumcheckTerm> out;
  for (const auto& [coefficient, factors] : terms) {
    for (const int j : factors) {
      if (j < 0 || static_cast<size_t>(j) >= tables) fail("terms: there is no table " + std::to_string(j));
    }
    if (factors.size() + (eq ? 1 : 0) > static_cast<size_t>(degree)) fail("terms: a term exceeds the degree");
    out.push_back({scalar(coefficient, "coefficient"), factors});
  }
  return out;
}

PySumcheck make_sumcheck(const std::vector<py::array>& arrays,
                         const std::vector<std::pair<py::bytes, std::vector<int>>>& terms, int degree,
                         const std::optional<py::bytes>& eq_point) {
  if (arrays.empty()) fail("tables: at least one is needed");
  if (degree < 1 || degree > kMaxDegree) fail("degree: expected 1 to " + std::to_string(kMaxDegree));
  std::vector<ArrayTables::Table> tables;
  for (const py::array& array : arrays) {
    tables.push_back({column(array, "tables"), Fr::zero(), nullptr});
    require_size(tables.back().prefix, tables.front().prefix.size, "tables");
  }
  const size_t length = tables.front().prefix.size;
  if (!std::has_single_bit(length))
    fail("tables: length " + std::to_string(length) + " is not a power of two");
  const int variables = std::countr_zero(length);
  std::optional<std::vector<Fr>> point;
  if (eq_point) {
    point = scalars(*eq_point, "eq_point");
    if (point->size() != static_cast<size_t>(variables)) fail("eq_point: wrong number of coordinates");
  }
  std::vector<SumcheckTerm> list = sumcheck_terms(terms, tables.size(), degree, point.has_value());
  auto source = std::make_unique<ArrayTables>(std::move(tables), length);
  return {std::make_unique<Sumcheck>(std::move(source), variables, std::move(list), degree, std::move(point)),
          py::cast(arrays)};
}

template <class P>
void bind_prover(py::class_<P>& type) {
  type.def("round", &P::round).def("bind", &P::bind, py::arg("challenge")).def("finals", &P::finals);
}

// ---- what the rounds of a sumcheck lead to

py::tuple py_follow_rounds(const py::bytes& state, const std::tuple<py::bytes, py::bytes, py::bytes>& frames,
                           const py::bytes& messages, size_t rounds, size_t pieces, int degree) {
  if (degree < 1 || degree > kMaxDegree) fail("degree: expected 1 to " + std::to_string(kMaxDegree));
  const auto& [before, message, challenge] = frames;
  const std::string_view start = state, sent = messages;
  Sha512::Digest digest;
  if (start.size() != digest.size()) fail("state: expected 64 bytes");
  const auto parts = static_cast<u128>(rounds) * pieces;  // 128 bits: arguments may be absurd
  if (pieces == 0 || (parts == 0 ? !sent.empty() : sent.size() % parts != 0)) {
    fail("messages: " + std::to_string(sent.size()) + " bytes are not rounds * pieces pieces of one size");
  }
  if (rounds > sent.size()) fail("messages: a round without a message");
  std::copy(start.begin(), start.end(), digest.begin());
  const std::vector<Fr> drawn = draw_rounds(digest, {before, message, challenge}, sent, rounds, pieces);
  const std::vector<Fr> weights = fold_rounds(drawn, static_cast<size_t>(degree));
  return py::make_tuple(py::bytes(reinterpret_cast<const char*>(digest.data()), digest.size()),
                        to_bytes(drawn), to_bytes(weights));
}

py::bytes py_fold_rounds(const py::bytes& challenges, int degree) {
  if (degree < 1 || degree > kMaxDegree) fail("degree: expected 1 to " + std::to_string(kMaxDegree));
  return to_bytes(fold_rounds(scalars(challenges, "challenges"), static_cast<size_t>(degree)));
}

// ---- linear forms over what came before them

using Places = py::array_t<int64_t>;

std::vector<size_t> places(const Places& array, const char* name) {
  if (array.ndim() != 1) fail(std::string(name) + ": expected one dimension");
  const auto view = array.unchecked<1>();
  std::vector<size_t> out(static_cast<size_t>(array.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t place = view(static_cast<py::ssize_t>(i));
    if (place < 0) fail(std::string(name) + ": negative");
    out[i] = static_cast<size_t>(place);
  }
  return out;
}

class PyLinearForms {
 public:
  PyLinearForms(size_t size, const Places& node, const Places& start, const Places& source,
                const py::bytes& coefficient)
      : size_(size) {
    const std::vector<size_t> nodes = places(node, "nodes"), starts = places(start, "starts");
    const std::vector<size_t> sources = places(source, "sources");
    std::vector<Fr> coefficients = scalars(coefficient, "coefficients");
    if (starts.size() != nodes.size() + 1 || starts.front() != 0 || starts.back() != sources.size() ||
        coefficients.size() != sources.size()) {
      fail("forms: the numbers of nodes, starts, sources and coefficients do not agree");
    }
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i] >= size || (i > 0 && nodes[i] <= nodes[i - 1])) fail("nodes: not increasing below size");
      if (starts[i] > starts[i + 1] || starts[i + 1] > sources.size()) fail("starts: not increasing");
      for (size_t t = starts[i]; t < starts[i + 1]; ++t) {
        if (sources[t] >= nodes[i]) fail("sources: a form over what comes after it");
      }
    }
    forms_.emplace(nodes, starts, sources, std::move(coefficients));
  }

  FieldArray run(const py::array& numbers) const {
    return changed(numbers, [&](Fr* out) { forms_->run(out); });
  }
  FieldArray transposed(const py::array& numbers) const {
    return changed(numbers, [&](Fr* out) { forms_->transposed(out); });
  }
  py::array_t<bool> reached(const Places& node) const {
    std::vector<uint8_t> read(size_, 0);
    for (const size_t n : places(node, "nodes")) {
      if (n >= size_) fail("nodes: not below size");
      read[n] = 1;
    }
    forms_->reach(read.data());
    py::array_t<bool> out(static_cast<py::ssize_t>(size_));
    std::copy(read.begin(), read.end(), out.mutable_data());
    return out;
  }

 private:
  template <class Body>
  FieldArray changed(const py::array& numbers, Body body) const {
    const Column c = field_column(numbers, "numbers");
    require_size(c, size_, "numbers");
    return compute(new_array(size_), [&](Fr* out) {
      std::copy_n(elements(c), size_, out);
      body(out);
    });
  }

  size_t size_;
  std::optional<LinearForms> forms_;
};

// ---- fraction tree

using PyRun = std::tuple<py::array, py::bytes, PyTerms>;

class PyFractionTree {
 public:
  PyFractionTree(const std::vector<PyRun>& runs, int log_size, const std::tuple<int, size_t, size_t>& plan)
      : inputs_(py::cast(runs)) {
    if (log_size < 0 || log_size > static_cast<int>(kMaxVariables)) fail("log_size: out of range");
    std::vector<LeafRun> leaves;
    size_t room = size_t{1} << log_size;
    for (const auto& [numerator, constant, denominator] : runs) {
      const Column p = column(numerator, "numerator");
      if (p.size > room) fail("runs: more leaves than 2^log_size");
      room -= p.size;
      const LinearTerm whole{Fr::one(), p};
      leaves.push_back(
          {p.size, LinearForm({&whole, 1}, Fr::zero()),
           LinearForm(linear_terms(denominator, p.size, "denominator"), scalar(constant, "constant"))});
    }
    const auto [stored, most, chunk] = plan;
    const TreePlan held{stored, most, chunk};
    const py::gil_scoped_release release;
    tree_ = std::make_unique<FractionTree>(std::move(leaves), log_size, held);
  }

  py::bytes root() const {
    const Fraction root = tree_->root();
    return to_bytes({root.p, root.q});
  }

  static PyLayer layer(const py::object& self, int depth, const py::bytes& point, const py::bytes& batch) {
    auto& tree = *self.cast<PyFractionTree&>().tree_;
    if (depth < 0 || depth >= tree.log_size()) fail("depth: no such layer");
    std::vector<Fr> w = scalars(point, "point");
    if (w.size() != static_cast<size_t>(depth)) fail("point: wrong number of coordinates");
    const Fr factor = scalar(batch, "batch");
    std::unique_ptr<FractionLayer> state;
    {
      const py::gil_scoped_release release;
      state = tree.layer(std::move(w), factor);
    }
    return {std::move(state), self};
  }

 private:
  py::object inputs_;
  std::unique_ptr<FractionTree> tree_;
};

py::dict py_field_counters() {
  py::dict counts;
  counts["field_mults"] = field_counters().field_mults.load();
  counts["small_mults"] = field_counters().small_mults.load();
  return counts;
}

}  // namespace
}  // namespace zkcore

void bind_field(py::module_& m) {
  using namespace zkcore;
  m.def("from_ints", &py_from_ints, py::arg("values"));
  m.def("from_scalars", &py_from_scalars, py::arg("values"));
  m.def("to_scalars", &py_to_scalars, py::arg("values"));
  m.def("from_wide_bytes", &py_from_wide_bytes, py::arg("data"));
  m.def("eq_table", &py_eq_table, py::arg("point"), py::arg("scale"));
  m.def("contract", &py_contract, py::arg("column"), py::arg("outer"), py::arg("inner"), py::arg("weights"));
  m.def("contract_ternary", &py_contract_ternary, py::arg("column"), py::arg("outer"), py::arg("inner"),
        py::arg("weights"));
  m.def("dot", &py_dot, py::arg("column"), py::arg("weights"));
  m.def("combine", &py_combine, py::arg("terms"), py::arg("constant"), py::arg("length"));
  m.def("multiply", &py_multiply, py::arg("a"), py::arg("b"));
  m.def("batch_inverse", &py_batch_inverse, py::arg("values"));
  m.def("scatter_add", &py_scatter_add, py::arg("index"), py::arg("values"), py::arg("size"));
  m.def("follow_rounds", &py_follow_rounds, py::arg("state"), py::arg("frames"), py::arg("messages"),
        py::arg("rounds"), py::arg("pieces"), py::arg("degree"));
  m.def("fold_rounds", &py_fold_rounds, py::arg("challenges"), py::arg("degree"));
  m.def("field_counters", &py_field_counters);

  py::class_<PySumcheck> sumcheck(m, "Sumcheck");
  sumcheck.def(py::init(&make_sumcheck), py::arg("tables"), py::arg("terms"), py::arg("degree"),
               py::arg("eq_point"));
  bind_prover(sumcheck);
  PySideBySide<PySumcheck>::add_to(m);

  py::class_<PyLayer> layer(m, "FractionLayer");
  bind_prover(layer);

  py::class_<PyLinearForms>(m, "LinearForms")
      .def(py::init<size_t, const Places&, const Places&, const Places&, const py::bytes&>(), py::arg("size"),
           py::arg("nodes").noconvert(), py::arg("starts").noconvert(), py::arg("sources").noconvert(),
           py::arg("coefficients"))
      .def("run", &PyLinearForms::run, py::arg("numbers"))
      .def("transposed", &PyLinearForms::transposed, py::arg("numbers"))
      .def("reached", &PyLinearForms::reached, py::arg("nodes").noconvert());

  py::class_<PyFractionTree>(m, "FractionTree")
      .def(py::init<const std::vector<PyRun>&, int, const std::tuple<int, size_t, size_t>&>(),
           py::arg("runs"), py::arg("log_size"), py::arg("plan"))
      .def("root", &PyFractionTree::root)
      .def("layer", &PyFractionTree::layer, py::arg("depth"), py::arg("point"), py::arg("batch"));
}
