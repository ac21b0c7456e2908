#pragma once
// How much the pictures of one prompt differ from each other: what a model that collapses loses.

#include "base/tensor.h"

namespace fourstep {

/// Mean Euclidean distance of all pairs of rows. rows: [n,d]. Throws Error for fewer than two rows.
double mean_pairwise_distance(const Tensor& rows);

/// The mean of mean_pairwise_distance() over prompts. features: [prompts*per_prompt,d], the pictures of a prompt one
/// after another. Throws Error when the rows do not divide into whole prompts.
double diversity_of(const Tensor& features, int64_t per_prompt);

}  // namespace fourstep
