#include "base/step_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/fields.h"
#include "base/text_tools.h"

namespace fourstep {

namespace {

WeightPoint point_from_text(std::string_view what, std::string_view text) {
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    const auto weight = finite_number(text.substr(0, at));
    const auto position = finite_number(text.substr(at + 1));
    if (weight && position && *position >= 0) return {*weight, *position};
  }
  throw InvalidRequest(
      "{}: \"{}\" is no weight; write a number such as 0.8, or WEIGHT@STEP for each change, such "
      "as "
      "0@0,1@2",
      what, text);
}

void check_positions(std::string_view what, const std::vector<WeightPoint>& points) {
  const auto twice =
      std::adjacent_find(points.begin(), points.end(),
                         [](const auto& a, const auto& b) { return a.position == b.position; });
  if (twice == points.end()) return;
  throw InvalidRequest("{}: two weights at {}; give each step one weight", what, twice->position);
}

}  // namespace

double weight_at(const StepWeights& weights, int64_t step, int64_t num_steps) {
  const std::vector<WeightPoint>& points = weights.points;
  auto place = static_cast<double>(step);
  if (points.back().position <= 1)
    place /= static_cast<double>(std::max<int64_t>(num_steps - 1, 1));
  const auto next = std::find_if(points.begin(), points.end(),
                                 [&](const WeightPoint& point) { return point.position > place; });
  if (next == points.begin()) return points.front().weight;
  if (next == points.end()) return points.back().weight;
  const WeightPoint& last = *(next - 1);
  const double share = (place - last.position) / (next->position - last.position);
  return std::lerp(last.weight, next->weight, share);
}

double largest_weight(const StepWeights& weights) {
  return std::max_element(weights.points.begin(), weights.points.end(),
                          [](const WeightPoint& a, const WeightPoint& b) {
                            return std::abs(a.weight) < std::abs(b.weight);
                          })
      ->weight;
}

bool looks_like_weights(std::string_view text) {
  const std::string first = trimmed(text.substr(0, text.find('@')));
  char* end = nullptr;
  std::strtod(first.c_str(), &end);  // takes 1e999, inf and nan too, which are then refused by name
  return !first.empty() && *end == '\0';
}

void check_weight(std::string_view what, double weight) {
  constexpr double kLargest = 1000;
  if (std::abs(weight) <= kLargest) return;
  throw InvalidRequest("{}: the weight {} is beyond {} to {}", what, weight, -kLargest, kLargest);
}

StepWeights step_weights_from_text(std::string_view what, std::string_view text) {
  if (const auto weight = finite_number(text)) {
    check_weight(what, *weight);
    return *weight;
  }
  if (const std::string hint = number_hint(text); !hint.empty()) {
    throw InvalidRequest("{}: \"{}\" is no weight{}", what, text, hint);
  }
  std::string list(text);
  std::replace(list.begin(), list.end(), ';', ',');
  std::vector<WeightPoint> points;
  for (const std::string& part : split_text(list, ','))
    points.push_back(point_from_text(what, part));
  if (points.empty()) point_from_text(what, text);  // says that it is none
  std::sort(points.begin(), points.end(),
            [](const auto& a, const auto& b) { return a.position < b.position; });
  check_positions(what, points);
  for (const WeightPoint& point : points) check_weight(what, point.weight);
  const double first = points.front().weight;
  const bool is_constant = std::all_of(points.begin(), points.end(),
                                       [&](const auto& point) { return point.weight == first; });
  if (is_constant) return first;
  StepWeights weights;
  weights.points = std::move(points);
  return weights;
}

std::string text_from_step_weights(const StepWeights& weights) {
  if (weights.is_constant()) return fmt::format("{}", weights.first());
  std::string text;
  for (const WeightPoint& point : weights.points) {
    text += fmt::format("{}{}@{}", text.empty() ? "" : ",", point.weight, point.position);
  }
  return text;
}

}  // namespace fourstep
