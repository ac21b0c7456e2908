#pragma once
// FreeU as a method. The formula is in nets/unet_extras.h, where the up path is.

#include <algorithm>

#include "guidance/method.h"

namespace fourstep {

struct FreeUMethodOptions {
  std::vector<double> factors;  ///< b1, b2, s1, s2; empty: off
  int64_t version = 2;

  bool operator==(const FreeUMethodOptions&) const = default;
  bool is_on() const {
    return std::any_of(factors.begin(), factors.end(), [](double factor) { return factor != 1; });
  }
  void check() const { check_length("--freeu", factors, "1.3,1.4,0.9,0.2"); }
  static MethodFacts facts() { return {.name = "freeu"}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      FreeUOptions options;
      void extend(const GuidanceCall&, const CallRows&, UNetExtras& extras) override {
        extras.freeu = options;
      }
    };
    auto stage = std::make_unique<Stage>();
    stage->options = {factors[0], factors[1], factors[2], factors[3], version == 2};
    return stage;
  }
};

void visit_options(OptionsOf<FreeUMethodOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"freeu", "FreeU's b1,b2,s1,s2; 1.3,1.4,0.9,0.2", "", 0, 10}, o.factors);
  visit(FieldInfo{"freeu_version", "1 or 2", "", 1, 2}, o.version);
}

}  // namespace fourstep
