// A round of a layer's sumcheck: the sums over pairs of eq * (P q1 + p1 q0), see pair_round.cuh.
#pragma once

#include "cuda/leaf_pairs.cuh"
#include "cuda/tree_nodes.cuh"

namespace zkcore::cuda {

struct LayerRound {
  size_t pairs;       // the ends of pair i are the entries i and i + pairs
  size_t active;      // pairs that are summed
  size_t bound_used;  // entries that are kept
  FixedFactor batch, challenge;
  int end;  // 0 or 1: where the first sum is taken
};

// ---- stored nodes

// In the order q0, p1, then p0 or P = p0 + batch * q0, q1; entries from `used` on are the tails, one a table.
struct NodeTables {
  Fr* tables[4];
  const Fr* tails[4];
  size_t used;

  __device__ __forceinline__ Fr read(int table, size_t y) const {
    return load_once(y < used ? tables[table] + y : tails[table]);
  }
};

// What binding reads of two tables.
template <bool kBind>
struct RawEntries {
  Fr low[2], high[2];
  __device__ __forceinline__ void read(const NodeTables& nodes, int table, size_t y, size_t half) {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      low[k] = nodes.read(table + k, y);
      if constexpr (kBind) high[k] = nodes.read(table + k, y + half);
    }
  }
};

// kBind: first binds the challenge, in place. kMerge: p0 becomes P, in place.
template <bool kBind, bool kMerge>
__global__ void __launch_bounds__(kBlock, 2)
    nodes_round_kernel(const __grid_constant__ NodeTables nodes, const __grid_constant__ LayerRound round,
                       EqView eq, Report report) {
  const PairEnd end;
  const size_t half = 2 * round.pairs;
  const size_t step = static_cast<size_t>(gridDim.x) * kPairs;
  ProductSum sum;
  RawEntries<kBind> raw;
  raw.read(nodes, 0, end.entry(end.pair(blockIdx.x), round.pairs, round.end), half);
  for (size_t turn = blockIdx.x; turn * kPairs < round.active; turn += gridDim.x) {
    const size_t i = end.pair(turn);
    const bool active = i < round.active;
    const size_t y = end.entry(i, round.pairs, round.end);
    const bool kept = active && y < round.bound_used;
    TwoProducts products;
    Fr first;
#pragma unroll
    for (int factor = 0; factor < 4; factor += 2) {
      Fr a = raw.low[0], b = raw.low[1];
      Fr a_step, b_step;
      if constexpr (kBind) {
        a_step = raw.high[0] - a;
        b_step = raw.high[1] - b;
      }
      raw.read(nodes, factor ^ 2, factor ? y + step : y, half);  // the next ones, while these are bound
      if constexpr (kBind) {
        a += a_step * round.challenge;
        b += b_step * round.challenge;
      }
      if constexpr (kMerge) {
        if (factor > 0) a += first * round.batch;
        first = a;
      }
      if (kept && (kBind || factor > 0)) store(nodes.tables[factor] + y, a);
      if (kept && kBind) store(nodes.tables[factor + 1] + y, b);
      products.add(end.value(a), end.value(b));
    }
    sum.add(outer_weight(eq, i, active), products.total());
  }
  report_pairs(end, sum.total() * inner_weight(eq, end), report);
}

// Binds without summing; `bound` has the order of `nodes`.
template <bool kMerge>
__global__ void __launch_bounds__(kBlock)
    bind_nodes_kernel(const __grid_constant__ NodeTables nodes, const __grid_constant__ NodeTables bound,
                      size_t half, const __grid_constant__ FixedFactor challenge,
                      const __grid_constant__ FixedFactor batch) {
  for (size_t y = thread_index(); y < bound.used; y += thread_count()) {
    Fr q0;
#pragma unroll 1
    for (int table = 0; table < 4; ++table) {
      Fr value = nodes.read(table, y);
      value += (nodes.read(table, y + half) - value) * challenge;
      if constexpr (kMerge) {
        if (table == 0) q0 = value;
        if (table == 2) value += q0 * batch;
      }
      store(bound.tables[table] + y, value);
    }
  }
}

// ---- leaves

__device__ __forceinline__ void store_bound(const Children& out, size_t y, const LeafPair& pair) {
  store(out.q0 + y, pair.q0);
  store(out.p1 + y, pair.p1);
  store(out.p0 + y, pair.p0);
  store(out.q1 + y, pair.q1);
}

// Of any leaves; apart, as it is needed seldom and takes many registers.
template <bool kBind, bool kWide>
__device__ __noinline__ LeafPair any_pair(const LeafView& leaves, size_t y, size_t half, size_t step,
                                          LeafHints& hints) {
  return leaves.template merged_pair<kBind, kWide>(y, half, step, hints);
}

// kBind: first binds the challenge and writes the bound tables.
template <bool kBind, bool kWide>
__global__ void __launch_bounds__(kBlock, 2)
    leaves_round_kernel(const __grid_constant__ LeafView leaves, const __grid_constant__ LayerRound round,
                        Children bound, EqView eq, Report report) {
  constexpr bool kCompletes = !kBind && !kWide;
  const PairEnd end;
  const size_t half = 2 * round.pairs;
  const size_t step = static_cast<size_t>(gridDim.x) * kPairs;
  SharedProductSums<1> sum;
  LeafHints hints;
  for (size_t turn = blockIdx.x; turn * kPairs < round.active; turn += gridDim.x) {
    const size_t i = end.pair(turn);
    const bool active = i < round.active;
    const size_t y = end.entry(i, round.pairs, round.end);
    const bool kept = kBind && active && y < round.bound_used;
    bool paired = leaves.paired(2 * y, kCompletes ? Pairing::kBytes : Pairing::kPairs, hints.near);
    if (kBind) paired &= leaves.paired(2 * (y + half), Pairing::kPairs, hints.far);
    TwoProducts products;
    bool done = false;
    if constexpr (kCompletes) {
      done = leaves.completes && __all_sync(0xffffffffu, paired);
      if (done) products = completed_product(leaves, end, y, step, hints.near);
    }
    if (!done) {
      LeafPair pair;
      if (!kCompletes && paired) {
        pair = paired_merged<kBind, kWide>(leaves, y, half, step, hints, round.challenge);
      } else {
        pair = any_pair<kBind, kWide>(leaves, y, half, step, hints);
      }
      if (kept) store_bound(bound, y, pair);
      products.add(end.value(pair.q0), end.value(pair.p1));
      products.add(end.value(pair.p0), end.value(pair.q1));
    }
    sum.add(0, outer_weight(eq, i, active), products.total());
  }
  report_pairs(end, sum.total(0) * inner_weight(eq, end), report);
}

template <bool kWide>
__global__ void __launch_bounds__(kBlock, 2)
    bind_leaves_kernel(LeafView leaves, Children bound, size_t bound_used, size_t half) {
  LeafHints hints;
  for (size_t y = thread_index(); y < bound_used; y += thread_count()) {
    store_bound(bound, y, leaves.template merged_pair<true, kWide>(y, half, thread_count(), hints));
  }
}

}  // namespace zkcore::cuda
