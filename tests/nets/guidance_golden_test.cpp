// The formulas of guidance that act inside the UNet, against the programs they come from.

#include "support/guidance_golden.h"
#include "nets/attention.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::golden_error;
using testing::golden_tensor;

NagGuidance nag_of(const json& one) { return {one.at("scale"), one.at("tau"), one.at("alpha")}; }

double check_nag(const json& one) {
  return golden_error(nag_combine(golden_tensor(one.at("z_positive")),
                                  golden_tensor(one.at("z_negative")), nag_of(one)),
                      one.at("out"));
}

double check_nag_attention(const json& one) {
  const Tensor hidden = golden_tensor(one.at("hidden")), context = golden_tensor(one.at("context"));
  CrossAttention layer(hidden.size(2), context.size(2), one.at("heads").get<int64_t>());
  load_weights(*layer,
               {{"to_q.weight", golden_tensor(one.at("Wq"))},
                {"to_k.weight", golden_tensor(one.at("Wk"))},
                {"to_v.weight", golden_tensor(one.at("Wv"))},
                {"to_out.0.weight", golden_tensor(one.at("Wo"))},
                {"to_out.0.bias", golden_tensor(one.at("bo"))}},
               {torch::kFloat64}, "golden");
  const Tensor negative = golden_tensor(one.at("nag_negative_context"));
  const std::vector<AttentionTerm> terms{{negative, nag_of(one)}};
  const Tensor out =
      layer(hidden, cat_contexts({context, negative}), AttentionCall{.terms = terms});
  return golden_error(out, one.at("out"));
}

double check_freeu(const json& one) {
  const FreeUOptions options{one.at("b1"), one.at("b2"), one.at("s1"), one.at("s2"),
                             one.at("name") == "freeu_v2"};
  const BackboneAndSkip got =
      apply_freeu({golden_tensor(one.at("h")), golden_tensor(one.at("skip"))}, options,
                  one.at("model_channels"));
  return std::max(golden_error(got.backbone, one.at("h_out")),
                  golden_error(got.skip, one.at("skip_out")));
}

TEST(GoldenGuidance, NagAndFreeUEqualTheirAuthors) {
  testing::check_guidance_cases({
      {"nag", check_nag},
      {"nag_cross_attention", check_nag_attention},
      {"nag_cat_context",
       [](const json& one) {
         return golden_error(cat_contexts({golden_tensor(one.at("context")),
                                           golden_tensor(one.at("nag_negative_context"))}),
                             one.at("out"));
       }},
      {"freeu_v1", check_freeu},
      {"freeu_v2", check_freeu},
  });
}

}  // namespace
}  // namespace fourstep
