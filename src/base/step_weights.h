#pragma once
// A weight that may change over the steps of a run, as people write it for LoRAs: "0.8", or
// "0@0,1@0.5".

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// A weight, and where in the run it is reached.
struct WeightPoint {
  double weight = 1;
  double position = 0;

  bool operator==(const WeightPoint&) const = default;
};

/// Straight lines between the points; level before the first and behind the last. Positions count
/// steps from 0; where none is above 1, they are shares of the run instead: 0 its first step, 1 its
/// last. Source: loractl by cheald, an extension of A1111's webui; docs/prompts.md has the
/// differences.
struct StepWeights {
  std::vector<WeightPoint> points = {{}};  ///< by rising position; one alone never changes

  StepWeights() = default;
  StepWeights(double weight) : points{{weight, 0}} {}  // not explicit: most weights are a number

  bool is_constant() const { return points.size() == 1; }
  double first() const { return points.front().weight; }
  bool operator==(const StepWeights&) const = default;
};

/// step: 0 .. num_steps - 1.
double weight_at(const StepWeights& weights, int64_t step, int64_t num_steps);

/// The weight farthest from 0.
double largest_weight(const StepWeights& weights);

/// Whether a text is meant as weights: a number, or one with a position behind it.
bool looks_like_weights(std::string_view text);

/// Throws InvalidRequest for weights beyond -1000 to 1000: no LoRA means one, and sums and pictures
/// overflow.
void check_weight(std::string_view what, double weight);

/// A number, or WEIGHT@POSITION in any order, separated by ',' or ';'. Points of one weight become
/// a number.
/// what: the flag or tag, for messages. Throws InvalidRequest for anything else, weights that
/// check_weight() refuses, negative positions, and positions given twice.
StepWeights step_weights_from_text(std::string_view what, std::string_view text);
std::string text_from_step_weights(const StepWeights& weights);

}  // namespace fourstep
