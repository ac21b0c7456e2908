#pragma once
// What one call of the UNet may be told beside its input. It goes with the call: nothing of it
// stays in a layer, and an empty UNetExtras costs what none does.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "layers/layers.h"
#include "nets/unet_config.h"

namespace fourstep {

/// Maps to be added to the UNet's own, in its dtype or another. Each of the shape of what it is
/// added to; undefined ones are left out.
struct UNetResiduals {
  /// To what the up path takes from the down path, in the order of the down path: conv_in's map
  /// first. Empty, or one for each. diffusers: down_block_additional_residuals (ControlNet).
  std::vector<Tensor> skips = {};
  /// To the same maps where they are made, so to all that follows too. ComfyUI: control "input"
  /// (T2I-Adapter).
  std::vector<Tensor> down = {};
  Tensor middle = {};  ///< diffusers: mid_block_additional_residual
};

/// Normalized attention guidance: the attention to the prompt is pushed away from that to a
/// negative prompt.
/// Source: Chen et al. 2025 (2505.21179), section 3; the authors' SDXL code.
struct NagGuidance {
  double scale = 3;    ///< how far: 1 not at all
  double tau = 2.5;    ///< longest result, as a multiple of the prompt's own
  double alpha = 0.5;  ///< share of the result; the rest is the prompt's own
};

/// Projections of keys and values beside those of an attention layer.
struct KeyValueWeights {
  Tensor to_k, to_v;  ///< [channels,width]
};

/// The attention to the term's context is added to that to the prompt.
/// Source: Ye et al. 2023 (2308.06721), eq. 5 (IP-Adapter's decoupled cross attention).
struct AddedContext {
  double weight = 1;
  /// By the CrossAttentionImpl; layers that are not named add nothing. Null: all add, by their own
  /// projections.
  std::shared_ptr<const std::unordered_map<const nn::Module*, KeyValueWeights>> projections = {};
};

/// A context that every attention to the text looks at beside the prompt's, and how the result
/// enters. The order of terms says nothing.
struct AttentionTerm {
  Tensor
      /// [P,L,cross_width], or of the projections' width; for the last P samples of a batch
      context;
  std::variant<NagGuidance, AddedContext> entry;
};

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

/// FreeU: stronger backbone and weaker low frequencies of the skips in the first two levels of the
/// up path.
/// Source: Si et al. 2023 (2309.11497); version 2 as in the authors' later code.
struct FreeUOptions {
  double b1 = 1.3,
         b2 = 1.4;  ///< factor on half the backbone's channels where it is 4 and 2 times as
                    ///< wide as the UNet's first level
  double s1 = 0.9, s2 = 0.2;  ///< factor on the skips' lowest frequencies there
  bool is_version_2 =
      true;  ///< the factor follows the backbone's mean over channels, position by position
};

/// The attention of one layer: rows over queries, which sum to 1, on the grid that the positions
/// come from.
struct AttentionMap {
  Tensor probabilities;  ///< [B,heads,height*width,height*width]
  int64_t height = 0, width = 0;
};

struct UNetExtras {
  UNetResiduals residuals = {};
  std::vector<AttentionTerm> attention_terms = {};
  std::optional<DegradedLayers> degraded = {};
  std::optional<FreeUOptions> freeu = {};
  AttentionMap* middle_attention = nullptr;       ///< filled from the middle's first self attention
  std::shared_ptr<const Branches> adapters = {};  ///< null: none
  /// Gradient checkpointing: resnets and transformer blocks keep only their inputs and run again in
  /// the backward pass. Changes no bit.
  bool checkpointing = false;
  std::function<void()> between_layers =
      {};  ///< called before each resnet; what it throws ends the call
};

/// What goes with a call through all blocks. A copy is whole: gradient checkpointing keeps one.
struct BlockCall {
  Tensor temb = {};  ///< [B,time_width], dtype of the weights
  /// [B+P,Lc,cross_width], dtype of the weights: rows of the prompt, then of NAG's terms, see
  /// cat_contexts().
  Tensor context = {};
  std::shared_ptr<const UNetExtras> extras = plain_extras();

  const Branches* branches() const { return extras->adapters.get(); }
  static std::shared_ptr<const UNetExtras> plain_extras();  ///< the empty one
};

/// What the up path concatenates.
struct BackboneAndSkip {
  Tensor backbone, skip;  ///< [B,C,h,w], [B,D,h,w]
};

/// model_channels: width of the UNet's first level (320). Other widths of the backbone are left
/// alone.
BackboneAndSkip apply_freeu(const BackboneAndSkip& input, const FreeUOptions& options,
                            int64_t model_channels);

/// Whether the transformer of this name is among the layers.
bool is_degraded(const DegradedLayers& degraded, std::string_view name);

/// "down.I.J", "mid", "up.I.J": transformer J of block I, counted from the input as in diffusers.
std::vector<std::string> transformer_names(const UNetConfig& config);

/// Throws InvalidRequest naming the flag and the known names where a layer fits no transformer, or
/// none is given.
void check_layers(const char* flag, const std::vector<std::string>& layers,
                  const UNetConfig& config);

}  // namespace fourstep
