#pragma once
// A LoRA file as modules: the tensors that belong together under one module name, whatever the
// trainer called them. Which weight of a model a name means is decided in lora_keys.h, what the
// tensors add to that weight in fuse.h.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/tensor.h"
#include "io/peft_config.h"
#include "io/tensor_file.h"

namespace fourstep {

// Textual inversions inside a LoRA file, under keys that begin with "bundle_emb.".

/// By name: the tensors as an embedding's own file has them (clip_l and clip_g, emb_params, or one
/// under a placeholder). Vectors for the output of a text encoder (OneTrainer's clip_l_out and the
/// like) are among them.
using BundledEmbeddings = std::map<std::string, NamedTensors>;

/// "bundle_emb.my cat.clip_l" taken apart.
struct BundledKey {
  std::string name;  ///< "my cat": may have dots and blanks
  std::string part;  ///< "clip_l"; of "string_to_param.*" the "*"
};

/// Nothing for a key that does not begin with "bundle_emb.", or has no name or no part. Source:
/// A1111's Lora extension (networks.py), where the name ends at the first dot; here the parts that
/// trainers write end it, so that a name may have dots.
std::optional<BundledKey> split_bundled_key(const std::string& key);

/// Whether the part is for the output of a text encoder, which no prompt of A1111's, ComfyUI's or
/// this program uses.
bool is_output_part(const std::string& part);

/// "mytok", "mytok and other": the names, for messages.
std::string names_text(const BundledEmbeddings& embeddings);

/// Adds those of `more`; equal tensors of one name are there once. Throws InvalidRequest naming the
/// embedding when both have it with different vectors. what: of `more`, for the message.
void add_embeddings(BundledEmbeddings& all, const BundledEmbeddings& more, const std::string& what);

/// The tensors under the keys that split_bundled_key() takes apart.
NamedTensors bundled_tensors(const BundledEmbeddings& embeddings);

/// up @ down. For a convolution the kernel belongs to `down`; with `mid` (CP / Tucker
/// decomposition) both factors are 1x1 and the kernel belongs to `mid`.
struct LowRank {
  Tensor down;  ///< [r,in] or [r,in,kh,kw]
  Tensor up;    ///< [out,r] or [out,r,1,1]
  Tensor mid;   ///< [r,r,kh,kw], or undefined
};

/// (w1_a @ w1_b) * (w2_a @ w2_b). With t1, t2 [r,r,kh,kw] the factors are w_a [r,out], w_b [r,in].
struct LoHa {
  Tensor w1_a, w1_b, t1;  ///< [out,r], [r,in*kh*kw], undefined
  Tensor w2_a, w2_b, t2;
};

/// kron(w1, w2), each given whole or as a product a @ b; with t2 [r,r,kh,kw]: w2_a [r,out2], w2_b
/// [r,in2].
struct LoKr {
  Tensor w1, w1_a, w1_b;
  Tensor w2, w2_a, w2_b, t2;
};

/// The difference itself: of a weight, a norm's weight, or a bias.
struct FullDiff {
  Tensor diff;
};

/// W a1 a2 + b: a low-rank map before the weight, and a plain low-rank difference. The rank is that
/// of both.
struct GLoRA {
  Tensor a1, a2;  ///< [in,r], [r,in]; of a convolution with 1x1 kernels
  LowRank b;
};

/// Rotations of the weight's rows in blocks. A block B stands for (I + Q)(I - Q)^-1 with Q = B -
/// B', Q of all blocks together no longer than alpha * out where alpha is above 0.
struct OFT {
  Tensor blocks;   ///< [n,b,b] with n * b = out; of a BOFT (m stages in butterfly order) [m,n,b,b]
  Tensor rescale;  ///< [out,1,...]: factors of the rotated rows; or undefined
};

/// The weight's rows (or with `on_input` columns) times 1 + weight.
struct IA3 {
  Tensor weight;    ///< [out] or [in]; of a convolution [1,out,1,1] or [1,in,1,1]
  Tensor on_input;  ///< one number, not 0 for columns
};

/// The new value of a weight or bias, which counts in full at any strength but 0.
struct Replacement {
  Tensor value;
};

struct LoraModule {
  std::variant<LowRank, LoHa, LoKr, FullDiff, GLoRA, OFT, IA3, Replacement> weight;
  Tensor
      /// magnitudes of DoRA: [out,1,...] per output or [1,in,...] per input; or undefined
      dora_scale;
  std::optional<double> alpha;  ///< absent: the rank, so that the factor is 1; of OFT the limit
  std::optional<double> scale;  ///< replaces alpha / rank (old webui files, PEFT configurations)
};

struct LoraFile {
  std::filesystem::path path;
  std::map<std::string, LoraModule> weights;  ///< by module name as in the file
  std::map<std::string, LoraModule>
      biases;  ///< bias differences (FullDiff) and whole biases (Replacement) by module name
  std::vector<std::string> unknown_keys;   ///< tensors that no LoRA kind explains
  std::vector<std::string> empty_modules;  ///< of rank 0, which add nothing; in no other list
  BundledEmbeddings embeddings;
  Metadata metadata;

  /// Names in `weights` and `biases` together, each once, sorted.
  std::vector<std::string> module_names() const;
};

/// kNone leaves the values unread, for a look at names and shapes: NaN and infinity are then not
/// refused.
enum class ValueCheck { kFinite, kNone };

/// Sorts the tensors of `file` into modules. peft: the configuration beside a PEFT folder's
/// weights; a configuration in the file's metadata is found without it.
/// Throws Error naming the file and key when a factor is missing, ranks disagree, a value is NaN or
/// infinite, the kind cannot be applied (PEFT's own OFT, BOFT and IA3, VeRA), or the file is
/// something else (then it says what).
LoraFile parse_lora(const TensorFile& file, const std::optional<PeftConfig>& peft = std::nullopt,
                    ValueCheck check = ValueCheck::kFinite);

/// Opens a file, or a PEFT or diffusers folder (`adapter_model` or `pytorch_lora_weights`,
/// safetensors or bin) with its `adapter_config.json`. Throws Error as parse_lora and
/// open_tensor_file do.
LoraFile open_lora(const std::filesystem::path& path, ValueCheck check = ValueCheck::kFinite);

/// The same before its tensors are sorted into modules.
struct LoraSource {
  TensorFile file;
  std::optional<PeftConfig> peft;  ///< from the folder of a PEFT adapter
};
LoraSource open_lora_source(const std::filesystem::path& path);

/// Rank of the decomposition; 0 for what has none (full differences, whole LoKr factors, OFT, IA3).
int64_t rank_of(const LoraModule& module);

/// What the product of the factors is multiplied by at strength 1: `scale`, or alpha / rank, or 1.
/// A stored alpha of 0 switches the module off, as in ComfyUI. Whole LoKr factors ignore alpha.
double factor_of(const LoraModule& module);

/// The number that says beside the tensors what a module does: factor_of(), of OFT its limit (0:
/// none).
double number_of(const LoraModule& module);

/// All tensors of the module in a fixed order; undefined ones included, so that positions have a
/// meaning.
std::vector<Tensor> tensors_of(const LoraModule& module);

}  // namespace fourstep
