#pragma once
// The text encoders of SDXL and SD 1.5: CLIP's causal transformer. Member names are the parameter
// names of Hugging Face's CLIPTextModel and CLIPTextModelWithProjection (transformers 4; version 5
// dropped the leading "text_model.").

#include <span>
#include <string>
#include <vector>

#include "layers/layers.h"

namespace fourstep {

enum class ClipActivation {
  kQuickGelu,  ///< x * sigmoid(1.702 x): OpenAI's CLIP-L
  kGelu,       ///< the exact one, with erf: OpenCLIP's bigG
};

struct ClipConfig {
  int64_t vocab_size = 49408;
  int64_t positions = 77;
  int64_t width = 768;
  int64_t heads = 12;
  int64_t layers = 12;
  int64_t mlp_width = 3072;
  int64_t projection = 0;  ///< width of the pooled output; 0: no text_projection, no pooled output
  ClipActivation activation = ClipActivation::kQuickGelu;
  int64_t eos_id = 49407;  ///< its first place in a row of ids is where the pooled output is read
};

/// Everything but heads and activation is in the shapes. heads_hint: 0 means a head width of 64.
/// The activation is taken to be kGelu for models with text_projection and kQuickGelu for others,
/// and eos_id to be the last id: so it is in SDXL and SD 1.5; change the result where a source says
/// otherwise.
/// Throws Error naming `what` and the weight that is missing or does not fit.
ClipConfig clip_config_from_shapes(const NamedShapes& shapes, int64_t heads_hint,
                                   const std::string& what);

/// What a text encoder gives, dtype of its weights. States are counted as transformers'
/// `hidden_states`: entry 0 is the embedding, entry i the output of layer i.
struct ClipOutput {
  Tensor hidden;  ///< [B,L,width]: hidden_states[-(clip_skip+2)], no final LayerNorm (SDXL)
  Tensor last;    ///< [B,L,width]: final LayerNorm of hidden_states[-(clip_skip+1)] (SD 1.5)
  Tensor
      /// [B,projection]: last layer, final LayerNorm, row of the first end token, projection;
      /// undefined for models without text_projection
      pooled;
};

/// A learned vector in the place of a token's embedding.
struct TokenVector {
  int64_t row, position;  ///< of the ids
  Tensor vector;          ///< [width], any floating dtype and device
};

struct ClipAttentionImpl : nn::Module {
  ClipAttentionImpl(int64_t width, int64_t heads);
  /// x: [B,L,width]. Returns the same shape; position i sees positions up to i.
  Tensor forward(const Tensor& x);
  Linear q_proj{nullptr}, k_proj{nullptr}, v_proj{nullptr}, out_proj{nullptr};
  int64_t heads;
};
TORCH_MODULE(ClipAttention);

struct ClipMlpImpl : nn::Module {
  explicit ClipMlpImpl(const ClipConfig& config);
  /// x: [B,L,width]. Returns the same shape.
  Tensor forward(const Tensor& x);
  Linear fc1{nullptr}, fc2{nullptr};
  ClipActivation activation;
};
TORCH_MODULE(ClipMlp);

/// Pre-norm transformer layer: x + attention(LN(x)), then x + mlp(LN(x)).
struct ClipLayerImpl : nn::Module {
  explicit ClipLayerImpl(const ClipConfig& config);
  /// x: [B,L,width]. Returns the same shape.
  Tensor forward(const Tensor& x);
  LayerNorm layer_norm1{nullptr}, layer_norm2{nullptr};
  ClipAttention self_attn{nullptr};
  ClipMlp mlp{nullptr};
};
TORCH_MODULE(ClipLayer);

/// Source: Radford et al. 2021, section 2.4, as transformers' modeling_clip.py has it.
struct ClipTextImpl : nn::Module {
  explicit ClipTextImpl(const ClipConfig& config);

  /// ids: [B,L] int64, L at most config.positions, each row with start and end tokens. clip_skip:
  /// layers left out at the end, diffusers' `clip_skip` (0 is the normal state of the model
  /// family). vectors: stand in for the embeddings of the ids in their places.
  /// Throws InvalidRequest when the model has too few layers for clip_skip, Error for other shapes.
  ClipOutput forward(const Tensor& ids, int64_t clip_skip = 0,
                     std::span<const TokenVector> vectors = {});

  ClipConfig config;
  Embedding token_embedding{nullptr}, position_embedding{nullptr};
  std::vector<ClipLayer> layers;
  LayerNorm final_layer_norm{nullptr};
  Linear text_projection{nullptr};  ///< empty without projection

 private:
  Tensor embed(const Tensor& ids, std::span<const TokenVector> vectors);
  Tensor pool(const Tensor& ids, const Tensor& normalized);
};
TORCH_MODULE(ClipText);

}  // namespace fourstep
