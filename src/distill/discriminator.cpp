#include "distill/discriminator.h"

namespace fourstep {

namespace {
constexpr int64_t kLastSide = 4;
}

DiscriminatorImpl::DiscriminatorImpl(int64_t channels, int64_t side) {
  convs = register_module("convs", make_module_list<Conv2d>());
  norms = register_module("norms", make_module_list<GroupNorm>());
  for (; side > kLastSide; side /= 2) {
    convs->push_back(Conv2d(channels, channels, Conv2dOptions{.kernel = 4, .stride = 2}));
  }
  convs->push_back(
      Conv2d(channels, channels, Conv2dOptions{.kernel = side, .stride = side, .padding = 0}));
  for (size_t i = 0; i < convs->size(); ++i) {
    norms->push_back(GroupNorm(kNormGroups, channels, 1e-5));
  }
  conv_out =
      register_module("conv_out", Conv2d(channels, 1, Conv2dOptions{.kernel = 1, .padding = 0}));
}

Tensor DiscriminatorImpl::forward(const Tensor& features) {
  Tensor x = features.to(torch::kFloat32);
  for (size_t i = 0; i < convs->size(); ++i) x = at::silu((*norms)[i]((*convs)[i](x)));
  return conv_out(x).flatten();
}

Tensor generator_gan_loss(const Tensor& fake_logits) { return at::softplus(-fake_logits).mean(); }

Tensor discriminator_loss(const Tensor& fake_logits, const Tensor& real_logits) {
  return at::softplus(fake_logits).mean() + at::softplus(-real_logits).mean();
}

}  // namespace fourstep
