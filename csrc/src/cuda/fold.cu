// Folds of points: out[i] = sum_j weights[j] * points[j n + i]. A thread takes an output. The weights are the
// same for all, so every thread follows one list of doublings and additions: weights are halved with the
// endomorphism, k = low + high z and z P = -phi(P), and the halves written in non-adjacent form.
#include "cpu/scalars.hpp"
#include "cuda/points.cuh"
#include "zkcore/endomorphism.hpp"
#include "zkcore/group_counters.hpp"

namespace zkcore::cuda {
namespace {

// One step: `doublings`, then (+-) points[point], or its image, unless it is the last.
struct FoldStep {
  uint16_t doublings;
  uint8_t image, negative;
  uint32_t weight;
};
constexpr uint32_t kNoWeight = ~0u;

__global__ void __launch_bounds__(128)
    fold_kernel(const Affine* points, const FoldStep* steps, size_t count, size_t n, Affine* out) {
  const size_t i = thread_index();
  if (i >= n) return;
  Xyzz sum = Xyzz::infinity();
#pragma unroll 1
  for (size_t s = 0; s < count; ++s) {
    const FoldStep step = steps[s];
#pragma unroll 1
    for (int k = 0; k < step.doublings; ++k) sum = dbl(sum);
    if (step.weight == kNoWeight) continue;
    Affine p = load(points + step.weight * n + i);
    if (step.image) p = endomorphism(p);
    if (step.negative) p.y = -p.y;
    sum = add(sum, p);
  }
  store(out + i, to_affine(sum));
}

std::vector<FoldStep> fold_steps(const Fr* weights, size_t k) {
  std::vector<std::vector<int8_t>> digits;  // low and high half of each weight
  size_t longest = 0;
  for (size_t j = 0; j < k; ++j) {
    const HalfScalars split = split_scalar(weights[j].to_limbs());
    digits.push_back(wnaf(split.low, 2, 2));
    digits.push_back(wnaf(split.high, 2, 2));
    longest = std::max({longest, digits[2 * j].size(), digits[2 * j + 1].size()});
  }
  std::vector<FoldStep> steps;
  uint16_t doublings = 0;
  for (size_t bit = longest; bit-- > 0;) {
    if (!steps.empty()) ++doublings;
    for (size_t h = 0; h < digits.size(); ++h) {
      const int digit = bit < digits[h].size() ? digits[h][bit] : 0;
      if (digit == 0) continue;
      const bool image = h % 2;
      steps.push_back({doublings, image, (digit < 0) != image, static_cast<uint32_t>(h / 2)});
      doublings = 0;
    }
  }
  if (doublings) steps.push_back({doublings, 0, 0, kNoWeight});
  return steps;
}

}  // namespace

void fold_points(const Affine* points, const Fr* weights, size_t k, size_t n, Affine* out, Stream stream) {
  const std::vector<FoldStep> steps = fold_steps(weights, k);
  uint64_t adds = 0, doublings = 0;
  for (const FoldStep& step : steps) {
    adds += step.weight != kNoWeight;
    doublings += step.doublings;
  }
  count_group_adds(n * (adds + doublings));
  count_doublings(n * doublings);
  const Array<FoldStep> list(steps.size(), stream);
  copy_to_device(list.data(), steps.data(), steps.size() * sizeof(FoldStep), stream);
  launch(fold_kernel, {dim3(blocks_for(n, 128)), 128}, stream, points, list.data(), steps.size(), n, out);
}

}  // namespace zkcore::cuda
