#include "base/similar_names.h"

#include <gmock/gmock.h>

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EditDistance, CountsInsertionsDeletionsAndChanges) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);  // the textbooks' example
  EXPECT_EQ(edit_distance("abc", ""), 3u);
}

TEST(NearestOf, PutsTheLikestFirstAndEachOnce) {
  EXPECT_THAT(nearest_of("stepps", {"sigmas", "steps", "seed", "steps", "cfg-scale"}, 2),
              ElementsAre("steps", "sigmas"));  // "seed" is as far away, and stands later
  EXPECT_THAT(nearest_of("EULER", {"heun", "euler"}, 1), ElementsAre("euler"));
  EXPECT_THAT(nearest_of("negativ", {"vae-tile", "negative-prompt", "native"}, 1),
              ElementsAre("negative-prompt"));
  EXPECT_THAT(nearest_of("x", {}), IsEmpty());
}

TEST(DidYouMean, IsPartOfASentence) {
  EXPECT_EQ(did_you_mean("stepps", {"steps"}), "; did you mean steps?");
  EXPECT_EQ(did_you_mean("a", {"aa", "ab", "ac", "zzzzzz"}), "; did you mean aa, ab or ac?");
  EXPECT_EQ(did_you_mean("a", {}), "");
}

}  // namespace
}  // namespace fourstep
