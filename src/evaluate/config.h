#pragma once
// All settings of an evaluation in one struct; the file and the command line derive from its list of fields.

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "data/emoji_pack.h"

namespace fourstep {

struct EvaluateConfig {
  std::string model;
  std::string lora;
  std::string student;
  std::string out = "out/evaluation";
  std::string classifier;
  std::string rows = "real;teacher;base;student";
  int64_t samples = 10000;
  int64_t prompts = 1000;
  int64_t diversity_prompts = 32;
  int64_t diversity_samples = 8;
  uint64_t seed = 0;
  int64_t batch = 32;
  std::string device = "cpu";
  std::string precision = "fp32";

  std::vector<double> student_steps{1, 2, 4, 5, 8, 12, 32};
  std::string student_sampler = "lcm";
  std::string student_schedule = "dmd2";
  double student_cfg = 1;
  std::vector<double> base_steps{4};
  std::vector<double> teacher_steps{50};
  std::string teacher_sampler = "dpmpp_2m";
  std::string teacher_schedule = "karras";
  double teacher_cfg = 3;

  int64_t classifier_iterations = 5000;
  int64_t classifier_batch = 64;
  double classifier_lr = 3e-3;
  int64_t classifier_tests = 2000;

  EmojiSettings emoji;
};

template <typename AnyConfig, typename Visitor>
void visit_fields(AnyConfig& c, Visitor&& visit) requires
    std::is_same_v<std::remove_const_t<AnyConfig>, EvaluateConfig> {
  using Info = FieldInfo;
  visit(Info{"model", "checkpoint of the teacher, which the student's LoRA changes too"}, c.model);
  visit(Info{"lora",
             "the student's LoRA as FILE[:WEIGHT]; several: repeat, or separate by ';' (a student "
             "needs this or --student)"},
        c.lora);
  visit(Info{"student", "checkpoint of a student that is a model of its own"}, c.student);
  visit(Info{"out", "folder for table, plots, sheet and finished rows"}, c.out);
  visit(Info{"classifier", "folder of the judging classifier; OUT/classifier when not given"},
        c.classifier);
  visit(Info{"rows", "what to evaluate, of real;teacher;base;student"}, c.rows);
  visit(Info{"samples", "pictures of seen combinations, for the Fréchet distances; 0: none of them",
             "", 0, 1e7},
        c.samples);
  visit(Info{"prompts", "prompts per split whose pictures are judged, at least", "", 1, 1e7},
        c.prompts);
  visit(
      Info{"diversity_prompts", "prompts of which several pictures are made; 0: none", "", 0, 1e6},
      c.diversity_prompts);
  visit(Info{"diversity_samples", "pictures of each of them", "", 2, 1e4}, c.diversity_samples);
  visit(Info{"seed", "seed of prompts and noise; picture i has the seed plus i"}, c.seed);
  visit(Info{"batch", "pictures that are made at once", "", 1, 65536}, c.batch);
  visit(Info{"device", "auto, cpu, cuda or cuda:N"}, c.device);
  visit(Info{"precision", "of the networks: fp32, bf16, fp16 or auto"}, c.precision);

  visit(Info{"student_steps", "numbers of steps of the student", "steps", 1, 1000},
        c.student_steps);
  visit(Info{"student_sampler", "sampler of student and base"}, c.student_sampler);
  visit(Info{"student_schedule", "schedule of student and base"}, c.student_schedule);
  visit(Info{"student_cfg", "guidance of student and base; 1: off", "", -100, 100}, c.student_cfg);
  visit(Info{"base_steps", "numbers of steps of the base: the model without LoRA, as a student",
             "steps", 1, 1000},
        c.base_steps);
  visit(Info{"teacher_steps", "numbers of steps of the teacher", "steps", 1, 1000},
        c.teacher_steps);
  visit(Info{"teacher_sampler", "sampler of the teacher"}, c.teacher_sampler);
  visit(Info{"teacher_schedule", "schedule of the teacher"}, c.teacher_schedule);
  visit(Info{"teacher_cfg", "guidance of the teacher; 1: off", "", -100, 100}, c.teacher_cfg);

  visit(Info{"classifier_iterations", "training steps of the classifier", "steps", 1, 1e9},
        c.classifier_iterations);
  visit(Info{"classifier_batch", "pictures per step of the classifier", "", 1, 65536},
        c.classifier_batch);
  visit(Info{"classifier_lr", "peak learning rate of the classifier", "", 0, 1}, c.classifier_lr);
  visit(Info{"classifier_tests", "drawn pictures that tell the classifier's own accuracy", "", 1,
             1e7},
        c.classifier_tests);

  visit_fields(c.emoji, visit);
}

}  // namespace fourstep
