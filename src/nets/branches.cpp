#include "nets/branches.h"

#include <utility>

#include "nets/transformer.h"

namespace fourstep {

namespace {

struct Worn {
  const LowRankBranch** place;
  const LowRankBranch* branch;
};

/// Exchanges what is worn with what `worn` holds.
void exchange(std::vector<Worn>& worn) {
  for (Worn& entry : worn) std::swap(*entry.place, entry.branch);
}

}  // namespace

std::optional<BranchPlace> branch_place_of(nn::Module& layer) {
  if (auto* linear = layer.as<LinearImpl>()) return BranchPlace{linear->weight, &linear->branch};
  if (auto* conv = layer.as<Conv2dImpl>()) return BranchPlace{conv->weight, &conv->branch};
  if (auto* projection = layer.as<TokenProjectionImpl>()) {
    return BranchPlace{projection->weight, &projection->branch};
  }
  return std::nullopt;
}

RecomputeScope worn_branches(nn::Module& module) {
  std::vector<Worn> worn;
  for (const auto& layer : module.modules()) {
    if (const auto place = branch_place_of(*layer)) worn.push_back({place->branch, *place->branch});
  }
  return [worn = std::move(worn)]() -> std::shared_ptr<void> {
    auto others = std::make_unique<std::vector<Worn>>(worn);
    exchange(*others);
    const auto put_back = [](std::vector<Worn>* entries) {
      exchange(*entries);
      delete entries;
    };
    return std::shared_ptr<std::vector<Worn>>(others.release(), put_back);
  };
}

}  // namespace fourstep
