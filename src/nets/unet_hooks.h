#pragma once
// What one call of the UNet may be told to do differently from a plain one. Absent hooks cost nothing: the plain
// path has no branch inside a layer.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nets/freeu.h"
#include "nets/nag.h"
#include "nets/unet_config.h"

namespace fourstep {

/// How chosen transformers are made worse, for guidance away from the result.
enum class Degradation {
  kIdentityAttention,  ///< each position attends to itself alone: PAG
  kBlurredQuery,       ///< queries blurred over the map: SEG
  kSkipped,            ///< the transformer is left out: SLG
};

struct DegradedLayers {
  Degradation kind = Degradation::kIdentityAttention;
  /// Of transformer_names(), or their beginnings: "mid", "down.2", "up.0.1".
  std::vector<std::string> layers = {"mid"};
  double blur_sigma =
      0;  ///< kBlurredQuery: in positions; from kInfiniteBlur on all queries become their mean
};
constexpr double kInfiniteBlur = 9999;

/// The attention of one layer: rows over queries, which sum to 1, on the grid that the positions come from.
struct AttentionMap {
  Tensor probabilities;  ///< [B,heads,height*width,height*width]
  int64_t height = 0, width = 0;
};

struct UNetHooks {
  std::optional<NagGuidance> nag;
  std::optional<DegradedLayers> degraded;
  std::optional<FreeUOptions> freeu;
  AttentionMap* middle_attention = nullptr;  ///< filled from the middle's first self attention
};

/// What UNetHooks mean to one transformer.
struct TransformerHooks {
  const NagGuidance* nag = nullptr;
  const DegradedLayers* degraded = nullptr;
  AttentionMap* self_attention = nullptr;  ///< of the first block
  int64_t height = 0, width = 0;           ///< of the map whose positions are the tokens
};

/// layer: its name, see transformer_names().
TransformerHooks hooks_at(const UNetHooks& hooks, std::string_view layer, int64_t height,
                          int64_t width);

/// "down.I.J", "mid", "up.I.J": transformer J of block I, counted from the input as in diffusers.
std::vector<std::string> transformer_names(const UNetConfig& config);

/// Throws InvalidRequest naming the flag and the known names where a layer fits no transformer, or none is given.
void check_layers(const char* flag, const std::vector<std::string>& layers,
                  const UNetConfig& config);

}  // namespace fourstep
