// zkcore/side_by_side.hpp for Python: `Prover` is the bound type of its parts, with sumcheck() -> P&.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "scalars.hpp"
#include "zkcore/side_by_side.hpp"

namespace zkcore {

template <class Prover>
class PySideBySide {
  using P = std::remove_reference_t<decltype(std::declval<Prover&>().sumcheck())>;

 public:
  PySideBySide(const std::vector<pybind11::object>& provers, const pybind11::bytes& claims,
               const std::vector<int>& degrees, int degree)
      : provers_(provers), joint_(parts(provers, claims, degrees, degree), static_cast<size_t>(degree)) {}

  pybind11::bytes round() {
    std::vector<Fr> values;
    {
      const pybind11::gil_scoped_release release;
      values = joint_.round();
    }
    return to_bytes(values);
  }
  void bind(const pybind11::bytes& challenge) {
    const Fr r = scalar(challenge, "challenge");
    const pybind11::gil_scoped_release release;
    joint_.bind(r);
  }
  pybind11::bytes claims() const { return to_bytes(joint_.claims()); }

  static void add_to(pybind11::module_& m) {
    pybind11::class_<PySideBySide>(m, "SideBySide")
        .def(pybind11::init<const std::vector<pybind11::object>&, const pybind11::bytes&,
                            const std::vector<int>&, int>(),
             pybind11::arg("provers"), pybind11::arg("claims"), pybind11::arg("degrees"),
             pybind11::arg("degree"))
        .def("round", &PySideBySide::round)
        .def("bind", &PySideBySide::bind, pybind11::arg("challenge"))
        .def("claims", &PySideBySide::claims);
  }

 private:
  static std::vector<typename SideBySide<P>::Part> parts(const std::vector<pybind11::object>& provers,
                                                         const pybind11::bytes& claims,
                                                         const std::vector<int>& degrees, int degree) {
    const std::vector<Fr> sums = scalars(claims, "claims");
    if (provers.size() != sums.size() || provers.size() != degrees.size())
      fail("one claim and one degree for each prover");
    if (degree < 1 || degree > kMaxDegree) fail("degree: expected 1 to " + std::to_string(kMaxDegree));
    std::vector<typename SideBySide<P>::Part> out;
    for (size_t i = 0; i < provers.size(); ++i) {
      if (degrees[i] < 1 || degrees[i] > degree) fail("degrees: a part's exceeds that of the whole");
      P& own = provers[i].cast<Prover&>().sumcheck();
      if (own.degree() != degrees[i]) fail("degrees: not that of the prover");
      out.push_back({&own, sums[i], static_cast<size_t>(degrees[i])});
    }
    return out;
  }

  std::vector<pybind11::object> provers_;  // whose states the parts point into
  SideBySide<P> joint_;
};

}  // namespace zkcore
