#pragma once
// All settings of an evaluation in one struct; the file and the command line derive from its list
// of fields.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"

namespace fourstep {

struct EvaluateConfig {
  std::string model;
  std::string lora;
  std::string student;
  std::string out = "out/evaluation";
  std::string rows;
  std::string prompts;
  std::string data;
  std::string latents;
  int64_t resolution = 0;
  std::optional<int64_t> samples;
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
};

/// The fields that say how the rows are sampled.
template <typename AnyConfig, typename Visitor>
void visit_row_fields(AnyConfig& c, Visitor&& visit) {
  using Info = FieldInfo;
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
}

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
  visit(
      Info{"rows",
           "what to evaluate, of teacher;base;student, and with --emoji real; all when not given"},
      c.rows);
  visit(Info{"prompts", "text file, a prompt per line"}, c.prompts);
  visit(Info{"data", "folder of real images to compare with, for the Fréchet distance"}, c.data);
  visit(Info{"latents", "file of these images encoded; OUT/latents.safetensors when not given"},
        c.latents);
  visit(Info{"resolution", "side of the square pictures; 0: the model's", "px", 0, 8192},
        c.resolution);
  visit(Info{"samples",
             "pictures for the Fréchet distances; 0: none of them; one per prompt when not given, "
             "10000 with --emoji",
             "", 0, 1e7},
        c.samples);
  visit(
      Info{"diversity_prompts", "prompts of which several pictures are made; 0: none", "", 0, 1e6},
      c.diversity_prompts);
  visit(Info{"diversity_samples", "pictures of each of them", "", 2, 1e4}, c.diversity_samples);
  visit(Info{"seed", "seed of prompts and noise; picture i has the seed plus i"}, c.seed);
  visit(Info{"batch", "pictures that are made at once", "", 1, 65536}, c.batch);
  visit(Info{"device", "auto, cpu, cuda or cuda:N"}, c.device);
  visit(Info{"precision", "of the networks: fp32, bf16, fp16 or auto"}, c.precision);
  visit_row_fields(c, visit);
}

}  // namespace fourstep
