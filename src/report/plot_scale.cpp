#include "report/plot_scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr double kLargest = 1e150, kSmallest = 1e-150;  // sums and ratios of such values are finite

/// "2.5e-5" for "2.5e-05".
std::string short_exponent(std::string text) {
  const size_t e = text.find('e');
  if (e == std::string::npos) return text;
  const bool is_negative = text[e + 1] == '-';
  size_t digit = e + (text[e + 1] == '-' || text[e + 1] == '+' ? 2 : 1);
  while (digit + 1 < text.size() && text[digit] == '0') ++digit;
  return text.substr(0, e) + (is_negative ? "e-" : "e") + text.substr(digit);
}

/// value: a multiple of `step`; largest: the greatest magnitude on the axis. All ticks of an axis
/// get the same number of decimals.
std::string tick_text(double value, double step, double largest) {
  if (value == 0) return "0";
  if (largest < 1e6 && step >= 1e-4) {
    const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
    return fmt::format("{:.{}f}", value, decimals);
  }
  const int digits = static_cast<int>(std::ceil(std::log10(largest / step) - 1e-9)) + 1;
  return short_exponent(fmt::format("{:.{}g}", value, std::clamp(digits, 1, 15)));
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `least`.
double round_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

/// The multiples of `step` from `low` to `high`: first * step to last * step.
struct Multiples {
  Multiples(double low, double high, double step)
      : first(std::ceil(low / step - kSlack)), last(std::floor(high / step + kSlack)) {}

  static constexpr double kSlack = 1e-6;  // an end that is a multiple but for rounding
  double first, last;
};

std::vector<Tick> linear_ticks(double low, double high, int max_ticks) {
  double step = round_step((high - low) / (max_ticks + 1));
  Multiples range(low, high, step);
  while (range.last - range.first >= max_ticks) {
    step = round_step(1.5 * step);
    range = Multiples(low, high, step);
  }
  const double largest = std::max(std::abs(low), std::abs(high));
  std::vector<Tick> ticks;
  for (double i = range.first; i <= range.last; ++i) {
    ticks.push_back({i * step, tick_text(i * step, step, largest)});
  }
  return ticks;
}

std::vector<Tick> log_ticks(double low, double high, int max_ticks) {
  const double first = std::floor(std::log10(low)), last = std::ceil(std::log10(high));
  const double num_decades = std::log10(high / low);
  const double stride = std::max(1.0, std::ceil(num_decades / std::max(1, max_ticks - 1)));
  std::vector<Tick> ticks;
  for (const std::vector<double>& factors : {std::vector<double>{1, 2, 5}, {1, 3}, {1}}) {
    ticks.clear();
    for (double decade = std::ceil(first / stride) * stride; decade <= last; decade += stride) {
      for (const double factor : factors) {
        const double value = factor * std::pow(10.0, decade);
        if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9))
          ticks.push_back({value, short_exponent(fmt::format("{:.4g}", value))});
      }
    }
    if (stride == 1 && std::ssize(ticks) <= max_ticks) break;
  }
  // Less than a decade may hold one such number alone: then the values themselves are divided.
  return ticks.size() < 2 ? linear_ticks(low, high, max_ticks) : ticks;
}

/// Makes room around a single value.
void widen_single_value(Scale& scale) {
  const double middle = (scale.low + scale.high) / 2;
  if (scale.high - scale.low > std::max(std::abs(middle) * 1e-12, kSmallest)) return;
  const double room = middle == 0 ? 0.5 : std::max(0.1 * std::abs(middle), kSmallest);
  if (scale.is_log) {
    scale.low = std::max(middle / 2, kSmallest / 2);
    scale.high = middle * 2;
  } else {
    scale.low = middle - room;
    scale.high = middle + room;
  }
}

void pad(Scale& scale, double padding) {
  if (scale.is_log) {
    const double factor = std::pow(scale.high / scale.low, padding);
    scale.low /= factor;
    scale.high *= factor;
  } else {
    const double room = padding * (scale.high - scale.low);
    scale.low -= room;
    scale.high += room;
  }
}

void check_axis(const PlotAxis& axis) {
  for (const std::optional<double>& end : {axis.minimum, axis.maximum}) {
    if (end && !is_shown(axis, *end))
      throw InvalidRequest("plot: the axis \"{}\" cannot {} {}", axis.label,
                           axis.is_log ? "end logarithmically at" : "end at", *end);
  }
  if (axis.minimum && axis.maximum && !(*axis.minimum < *axis.maximum))
    throw InvalidRequest("plot: the axis \"{}\" goes from {} to {}; the first must be the smaller",
                         axis.label, *axis.minimum, *axis.maximum);
}

}  // namespace

void DataRange::add(double value) {
  low = is_empty ? value : std::min(low, value);
  high = is_empty ? value : std::max(high, value);
  is_empty = false;
}

double Scale::px(double value) const {
  const double share =
      is_log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return low_px + share * (high_px - low_px);
}

bool is_shown(const PlotAxis& axis, double value) {
  return std::abs(value) <= kLargest && (!axis.is_log || value >= kSmallest);
}

Scale make_scale(const PlotAxis& axis, const DataRange& data, double padding) {
  check_axis(axis);
  Scale scale{axis.is_log, data.low, data.high, 0, 1};
  if (data.is_empty) {
    scale.low = axis.is_log ? 0.1 : 0;
    scale.high = 1;
  }
  widen_single_value(scale);
  pad(scale, padding);
  if (axis.minimum) scale.low = *axis.minimum;
  if (axis.maximum) scale.high = *axis.maximum;
  if (!(scale.low < scale.high)) {  // all data lie beyond the fixed end
    const double end = axis.minimum ? scale.low : scale.high;
    const double length = axis.is_log ? 0.9 * end : std::max(1.0, std::abs(end));
    (axis.minimum ? scale.high : scale.low) = axis.minimum ? end + length : end - length;
  }
  return scale;
}

std::vector<Tick> make_ticks(const Scale& scale, int max_ticks) {
  return scale.is_log ? log_ticks(scale.low, scale.high, max_ticks)
                      : linear_ticks(scale.low, scale.high, max_ticks);
}

}  // namespace fourstep
