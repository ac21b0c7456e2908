#pragma once
// What LoRA modules add to one weight. The rule (fp32, from the pristine weight, cast once) and the
// reasons are in docs/architecture.md: adding in half precision storage loses small differences,
// and taking a LoRA away again by subtraction would leave rounding noise.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/tensor.h"
#include "lora/lora_file.h"

namespace fourstep {

/// A module and the strength that the user gave its file.
struct WeightedModule {
  LoraModule module;
  double weight = 1;  ///< any finite number; negative ones subtract
};

/// Rows and columns of the module's difference, all dimensions behind the first taken together;
/// nothing when its tensors do not fit each other.
std::optional<Shape> delta_extents(const LoraModule& module);

/// Whether what the module adds depends on the weight it meets: DoRA, and the kinds of
/// relative_change.h.
bool depends_on_weight(const LoraModule& module);

/// True when the difference (and DoRA's magnitudes) can be added to a weight of shape `target`.
bool fits_shape(const LoraModule& module, const Shape& target);

/// The difference at strength 1 as a tensor of shape `target`, fp32, alpha included, without DoRA;
/// computed on `device`.
/// Sources: LoRA (2106.09685, sec. 4.1), LoHa (FedPara, 2108.06098, eq. 3), LoKr and the Tucker
/// forms: LyCORIS (2309.14859, sec. 3). Throws Error when the shapes do not fit, and for the kinds
/// of relative_change.h.
Tensor delta(const LoraModule& module, const Shape& target, torch::Device device = torch::kCPU);

/// The part of a module of a fused layer that belongs to its rows [begin, begin+count).
/// full: shape of the whole fused weight. Throws Error for DoRA magnitudes per input, which need
/// all rows, and for OFT, which mixes them.
LoraModule take_rows(const LoraModule& module, const Shape& full, int64_t begin, int64_t count);

/// An order that depends on the content alone (kind, factor, shapes, bytes): negative, 0 or
/// positive. 0 means that the modules add exactly the same.
int compare_content(const LoraModule& a, const LoraModule& b);

/// The same sum in one form for all ways to write it: modules of equal content become one with the
/// sum of their weights, weights of 0 go, the rest is sorted by content. Throws InvalidRequest when
/// a weight is not finite.
std::vector<WeightedModule> canonical_terms(std::vector<WeightedModule> modules);

/// out = W + sum of weight * change, computed in fp32 and cast once to the type of `out`; with no
/// module a plain cast of W. `modules` are brought into canonical form first, so their order cannot
/// change a bit. A DoRA module changes W to W + weight * (W' - W), W' from the pristine W, which
/// makes it additive too; its norms are those of W + delta (Liu et al. 2024, 2402.09353, eq. 5).
/// GLoRA, OFT, BOFT and IA3 have their own rules for the weight (relative_change()), and a replaced
/// weight stands in for W in the sum.
/// out: same shape as `pristine`, any dtype, layout and device, for instance a live parameter; on
/// another device than the CPU the arithmetic runs there.
/// Throws Error when a module does not fit.
void fuse_into(Tensor out, const Tensor& pristine, const std::vector<WeightedModule>& modules);

/// What a single module adds to `pristine` at its weight, fp32 on the CPU. Throws Error when it
/// does not fit.
Tensor change_of(const Tensor& pristine, const WeightedModule& module);

/// fuse_into a new fp32 tensor on the device of `pristine`.
Tensor fuse(const Tensor& pristine, const std::vector<WeightedModule>& modules);

}  // namespace fourstep
