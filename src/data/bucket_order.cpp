#include "data/bucket_order.h"

#include <algorithm>
#include <map>
#include <utility>

#include "data/counter_random.h"

namespace fourstep {

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
