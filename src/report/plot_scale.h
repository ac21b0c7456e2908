#pragma once
// Numbers to places along an axis, and round numbers for its ticks.

#include <optional>
#include <string>
#include <vector>

namespace fourstep {

struct PlotAxis {
  std::string label = {};
  bool is_log = false;                     ///< values of 0 and below are gaps
  std::optional<double> minimum, maximum;  ///< fixed ends; otherwise the data decide
};

struct Tick {
  double value = 0;
  std::string text;
};

/// Smallest and largest of the values that an axis can show.
struct DataRange {
  double low = 0, high = 0;
  bool is_empty = true;
  void add(double value);
};

/// The way from a value to a pixel: linear in the value, or in its logarithm.
struct Scale {
  bool is_log = false;
  double low = 0, high = 1;        ///< values at the two ends, low < high
  double low_px = 0, high_px = 1;  ///< their places; high_px is the smaller one on vertical axes

  double px(double value) const;
};

/// Whether an axis can show `value`: within +-1e150, and at least 1e-150 on a logarithmic axis.
bool is_shown(const PlotAxis& axis, double value);

/// The ends of `axis` for the data, widened by `padding` (a share of the length) where the axis
/// does not fix them, and never empty. The places are left to the caller.
/// Throws InvalidRequest for fixed ends that are not finite, not in order, or not positive on a
/// logarithmic axis.
Scale make_scale(const PlotAxis& axis, const DataRange& data, double padding);

/// Ticks at 1, 2 or 5 times a power of ten (on logarithmic axes at powers of ten, with their 2- and
/// 5-fold or their 3-fold where there is room), at most `max_ticks` (at least 2) of them, with the
/// texts to write beside them.
std::vector<Tick> make_ticks(const Scale& scale, int max_ticks);

}  // namespace fourstep
