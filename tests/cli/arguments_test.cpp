#include "cli/arguments.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "cli/commands.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// The commands as main() declares them.
class Arguments : public ::testing::Test {
 protected:
  Arguments() : app_("", "fourstep") {
    add_generate_command(app_);
    add_inspect_command(app_);
    add_lora_command(app_);
    add_train_lora_command(app_);
  }

  CheckedArguments check(const std::vector<std::string>& words) {
    return check_arguments(app_, words);
  }

  std::string refusal(const std::vector<std::string>& words) {
    return testing::message_of<InvalidRequest>([&] { check(words); });
  }

  CLI::App app_;
};

TEST_F(Arguments, OptionsOfOtherProgramsBecomeOurs) {
  EXPECT_THAT(check({"generate", "-p", "a fox", "-n", "dog", "-W", "512", "-H=768", "-s7"}).words,
              ElementsAre("generate", "--prompt", "a fox", "--negative-prompt", "dog", "--width",
                          "512", "--height", "768", "--seed", "7"));
  EXPECT_THAT(
      check({"generate", "x", "--cfg_scale=2", "--sampling-method", "euler", "-b", "2"}).words,
      ElementsAre("generate", "x", "--cfg-scale", "2", "--sampler", "euler", "--images", "2"));
  EXPECT_THAT(check({"generate", "x", "--lora-model-dir", "d", "--seed", "-1"}).words,
              ElementsAre("generate", "x", "--lora-dir", "d", "--seed", "-1"));
}

TEST_F(Arguments, SwitchesAreWrittenInAllWays) {
  const auto last = [&](const std::vector<std::string>& words) {
    return check(words).words.back();
  };
  EXPECT_EQ(last({"generate", "x", "--tcfg"}), "--tcfg=true");
  EXPECT_EQ(last({"generate", "x", "--no-tcfg"}), "--tcfg=false");
  EXPECT_EQ(last({"generate", "x", "--tcfg=no"}), "--tcfg=false");
  EXPECT_EQ(last({"generate", "x", "--no-tcfg=false"}), "--tcfg=true");
  EXPECT_EQ(last({"generate", "x", "--zero-snr", "true"}), "--zero-snr=true");
  EXPECT_EQ(last({"generate", "x", "--no-json"}), "--json=false");
  EXPECT_EQ(last({"lora", "inspect", "f", "--hashes"}), "--no-hashes=false");
  EXPECT_EQ(last({"train-lora", "--no-gradient-checkpointing"}), "--gradient-checkpointing=false");
  EXPECT_THAT(check({"generate", "--tcfg", "a fox"}).words,
              ElementsAre("generate", "--tcfg=true", "a fox"));
  EXPECT_THAT(refusal({"generate", "x", "--tcfg=maybe"}), HasSubstr("neither true nor false"));
}

TEST_F(Arguments, UnknownOptionsAreToldTheNearestThree) {
  EXPECT_THAT(
      refusal({"generate", "x", "--stepps", "4"}),
      AllOf(HasSubstr("--stepps is not an option of fourstep generate; did you mean --steps"),
            Not(HasSubstr("--prediction"))));
  EXPECT_THAT(refusal({"lora", "detect", "x", "--fingerprnt", "y"}), HasSubstr("--fingerprint"));
  EXPECT_THAT(refusal({"generate", "x", "-steps", "4"}), HasSubstr("two dashes: --steps"));
  EXPECT_THAT(refusal({"generate", "x", "-prompt", "y"}), HasSubstr("two dashes: --prompt"));
  EXPECT_THAT(refusal({"generate", "x", "-z"}), HasSubstr("-z is not an option"));
}

TEST_F(Arguments, OptionsThatAreNotHereAreExplained) {
  EXPECT_THAT(refusal({"generate", "x", "--strength", "0.5"}), HasSubstr("img2img"));
  EXPECT_THAT(refusal({"generate", "x", "-i", "a.png"}), HasSubstr("img2img"));
  EXPECT_THAT(refusal({"generate", "x", "--control_net", "c"}), HasSubstr("ControlNet"));
  EXPECT_THAT(refusal({"inspect", "schedule", "--rng", "cuda"}), HasSubstr("--noise"));
}

TEST_F(Arguments, UnknownCommandsAreToldTheNearest) {
  EXPECT_THAT(refusal({"genrate", "x"}), HasSubstr("not a subcommand; did you mean generate"));
  EXPECT_THAT(refusal({"lora", "detcet"}), HasSubstr("did you mean detect"));
  EXPECT_THAT(refusal({"lora"}), AllOf(HasSubstr("subcommand"), HasSubstr("detect")));
  EXPECT_EQ(refusal({"a cat", "--seed", "1"}),
            "\"a cat\" is not a subcommand; to draw it: fourstep generate \"a cat\" --seed 1");
  EXPECT_THAT(refusal({"--seed", "1"}), HasSubstr("fourstep generate --seed 1"));
}

TEST_F(Arguments, APromptWithoutQuotationMarksIsShownWithThem) {
  EXPECT_EQ(refusal({"generate", "a", "red", "fox", "--seed", "7"}),
            "the prompt needs quotation marks: fourstep generate \"a red fox\" --seed 7");
  EXPECT_EQ(refusal({"generate", "--seed", "7", "a", "$5", "fox", "-o", "my fox.png"}),
            "the prompt needs quotation marks: fourstep generate --seed 7 \"a \\$5 fox\" -o \"my "
            "fox.png\"");
  EXPECT_THAT(refusal({"generate", "a cat", "a dog"}), HasSubstr("one prompt"));
  EXPECT_THAT(refusal({"generate", "-p", "a", "red", "fox"}), HasSubstr("one prompt"));
  EXPECT_THAT(refusal({"generate"}), HasSubstr("PROMPT"));
}

TEST_F(Arguments, APromptMayBeginWithADash) {
  EXPECT_THAT(check({"generate", "--seed", "7", "--", "--odd prompt"}).words,
              ElementsAre("generate", "--seed", "7", "--", "--odd prompt"));
  EXPECT_THAT(refusal({"generate", "--odd prompt"}),
              HasSubstr("fourstep generate -- \"--odd prompt\""));
  EXPECT_THAT(check({"generate", "-p", "--odd prompt"}).words,
              ElementsAre("generate", "--prompt", "--odd prompt"));
}

TEST_F(Arguments, MissingAndRepeatedValuesAreSaid) {
  EXPECT_THAT(refusal({"generate", "x", "--seed"}), HasSubstr("--seed: a value is missing"));
  EXPECT_THAT(refusal({"generate", "x", "--seed", "--steps", "4"}),
              HasSubstr("a value is missing before --steps"));
  const CheckedArguments twice = check({"generate", "x", "--steps", "4", "--steps", "8"});
  EXPECT_THAT(twice.notices, ElementsAre("--steps is given 2 times; the last one, 8, counts"));
  EXPECT_FALSE(twice.is_quiet);
  EXPECT_TRUE(check({"generate", "x", "-q"}).is_quiet);
  EXPECT_THAT(refusal({"generate", "x", "-o", "a.png", "--out", "b.png"}), HasSubstr("twice"));
  EXPECT_THAT(check({"generate", "x", "--lora", "a", "--lora", "b"}).notices, IsEmpty());
}

TEST_F(Arguments, HelpIsWhatIsAskedFor) {
  EXPECT_THAT(check({"generate", "--stepps", "-h"}).words, ElementsAre("generate", "--help"));
  EXPECT_THAT(refusal({"generate", "x", "-h", "512"}), HasSubstr("-H 512"));
  EXPECT_THAT(check({"--help"}).words, ElementsAre("--help"));
}

}  // namespace
}  // namespace fourstep
