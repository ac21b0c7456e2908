#include "data/buckets.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/error.h"
#include "data/counter_random.h"
#include "io/image.h"

namespace fourstep {

namespace {

int64_t step_of(int64_t resolution) {
  constexpr int64_t kLargest = 64, kSmallest = 8;
  return std::clamp(resolution / 8 / kSmallest * kSmallest, kSmallest, kLargest);
}

double aspect_of(int64_t width, int64_t height) {
  return static_cast<double>(width) / static_cast<double>(height);
}

int64_t scaled(int64_t side, double factor) {
  return std::llround(static_cast<double>(side) * factor);
}

/// [to,from]: row i holds how much of each source place lies in the part i of `to` equal parts,
/// divided by its width.
Tensor area_weights(int64_t from, int64_t to) {
  const auto options = at::TensorOptions(torch::kFloat64);
  const double width = static_cast<double>(from) / static_cast<double>(to);
  const Tensor begin = at::arange(to, options).unsqueeze(1) * width;
  const Tensor place = at::arange(from, options).unsqueeze(0);
  const Tensor overlap = at::minimum(begin + width, place + 1) - at::maximum(begin, place);
  return overlap.clamp_min(0) / width;
}

}  // namespace

std::vector<Bucket> make_buckets(int64_t resolution, bool with_shapes) {
  constexpr int64_t kSmallest = 64, kLargest = 8192;
  if (resolution < kSmallest || resolution > kLargest || resolution % 8 != 0) {
    throw InvalidRequest("--resolution {}: expected a multiple of 8 from {} to {}", resolution,
                         kSmallest, kLargest);
  }
  if (!with_shapes) return {{resolution, resolution}};
  const int64_t step = step_of(resolution), area = resolution * resolution;
  const int64_t square = resolution / step * step;
  const int64_t shortest = std::max(step, resolution / 4 / step * step), longest = 2 * square;
  std::vector<Bucket> buckets{{square, square}};
  for (int64_t width = shortest; width <= longest; width += step) {
    const int64_t height = std::min(longest, area / width / step * step);
    if (height < shortest) continue;
    buckets.push_back({width, height});
    buckets.push_back({height, width});
  }
  const auto is_before = [](const Bucket& a, const Bucket& b) {
    return std::pair(a.width, a.height) < std::pair(b.width, b.height);
  };
  std::sort(buckets.begin(), buckets.end(), is_before);
  buckets.erase(std::unique(buckets.begin(), buckets.end()), buckets.end());
  return buckets;
}

Fit fit_to_bucket(int64_t width, int64_t height, std::span<const Bucket> buckets) {
  const double aspect = aspect_of(width, height);
  const auto error_of = [aspect](const Bucket& bucket) {
    return std::abs(aspect_of(bucket.width, bucket.height) - aspect);
  };
  auto best = std::find(buckets.begin(), buckets.end(), Bucket{width, height});
  if (best == buckets.end()) {
    best = std::min_element(buckets.begin(), buckets.end(), [&](const Bucket& a, const Bucket& b) {
      return error_of(a) < error_of(b);
    });
  }
  Fit fit{*best, best->width, best->height, 0, 0};
  if (aspect > aspect_of(best->width, best->height)) {
    fit.resized_width = std::max(best->width, scaled(width, aspect_of(best->height, height)));
  } else {
    fit.resized_height = std::max(best->height, scaled(height, aspect_of(best->width, width)));
  }
  constexpr int64_t kMostCut = 8;
  if (fit.resized_width > kMostCut * best->width || fit.resized_height > kMostCut * best->height) {
    throw Error("{}x{} pixels are too narrow: the nearest shape is {}x{}", width, height,
                best->width, best->height);
  }
  fit.crop_left = (fit.resized_width - best->width) / 2;
  fit.crop_top = (fit.resized_height - best->height) / 2;
  return fit;
}

Tensor picture_in_bucket(const Tensor& pixels, const Fit& fit) {
  Tensor image = image_from_pixels(pixels);
  const bool is_smaller = fit.resized_height <= image.size(2) && fit.resized_width <= image.size(3);
  if (is_smaller) {
    image = shrink_by_area(image[0], fit.resized_height, fit.resized_width).unsqueeze(0);
  } else {
    image = at::upsample_bicubic2d(image, {fit.resized_height, fit.resized_width},
                                   /*align_corners=*/false)
                .clamp(-1, 1);
  }
  return image.narrow(2, fit.crop_top, fit.bucket.height)
      .narrow(3, fit.crop_left, fit.bucket.width)
      .contiguous();
}

Tensor shrink_by_area(const Tensor& values, int64_t height, int64_t width) {
  const auto dtype = values.scalar_type();
  Tensor shrunk = values;
  if (width != values.size(2)) {
    shrunk = at::matmul(shrunk, area_weights(values.size(2), width).t().to(dtype));
  }
  if (height != values.size(1)) {
    shrunk = at::matmul(area_weights(values.size(1), height).to(dtype), shrunk);
  }
  return shrunk;
}

namespace {

/// Fisher and Yates.
template <typename Item>
void shuffle(std::vector<Item>& items, CounterRandom& random) {
  for (size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  }
}

}  // namespace

BucketOrder::BucketOrder(const std::vector<OrderedImage>& images, int64_t batch, uint64_t seed)
    : batch_(batch), seed_(seed) {
  std::map<int64_t, std::vector<int64_t>> buckets;
  for (size_t i = 0; i < images.size(); ++i) {
    std::vector<int64_t>& bucket = buckets[images[i].bucket];
    bucket.insert(bucket.end(), static_cast<size_t>(images[i].repeats), static_cast<int64_t>(i));
  }
  for (auto& [number, bucket] : buckets) {
    const auto count = static_cast<int64_t>(bucket.size());
    images_per_epoch_ += count;
    batches_per_epoch_ += (count + batch - 1) / batch;
    buckets_.push_back(std::move(bucket));
  }
}

std::vector<std::vector<int64_t>> BucketOrder::batches_of(int64_t epoch) const {
  CounterRandom random(seed_, epoch, RandomPurpose::kOrder);
  std::vector<std::vector<int64_t>> batches;
  for (std::vector<int64_t> bucket : buckets_) {
    shuffle(bucket, random);
    for (auto begin = bucket.begin(); begin != bucket.end();) {
      const auto end = begin + std::min<int64_t>(batch_, bucket.end() - begin);
      batches.emplace_back(begin, end);
      begin = end;
    }
  }
  shuffle(batches, random);
  return batches;
}

const std::vector<int64_t>& BucketOrder::batch(int64_t iteration) {
  const int64_t epoch = iteration / batches_per_epoch_;
  if (epoch != epoch_) {
    epoch_batches_ = batches_of(epoch);
    epoch_ = epoch;
  }
  return epoch_batches_[static_cast<size_t>(iteration % batches_per_epoch_)];
}

}  // namespace fourstep
