#pragma once
// The program as a child process, in a folder with a tiny model and a LoRA for it.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {

struct Outcome {
  int exit_code = 0;
  std::string text;  ///< standard output and error together
};

class Program : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_tiny_sdxl(path("tiny.safetensors"));
    testing::write_tiny_lora(path("lora.safetensors"));
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string path(const std::string& name) { return (folder_->path() / name).string(); }

  static Outcome run(const std::string& arguments) {
    const std::string command =
        "{ OMP_NUM_THREADS=1 " FOURSTEP_PROGRAM " " + arguments + "; } 2>&1 </dev/null";
    Outcome outcome;
    FILE* pipe = popen(command.c_str(), "r");
    std::array<char, 4096> buffer{};
    while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) {
      outcome.text.append(buffer.data(), count);
    }
    const int status = pclose(pipe);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
  }

  static Outcome generate(const std::string& more) {
    return run("generate 'a cat' --model " + path("tiny.safetensors") +
               " --width 64 --height 64 --steps 2 --precision fp32 -q " + more);
  }

  /// Exit code 2, one line that begins with the program's name and holds `words`, and no new file.
  static void expect_refusal(const Outcome& outcome, const std::vector<std::string>& words) {
    EXPECT_EQ(outcome.exit_code, 2) << outcome.text;
    EXPECT_EQ(outcome.text.rfind("fourstep: ", 0), 0u) << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
    for (const std::string& word : words) {
      EXPECT_NE(outcome.text.find(word), std::string::npos) << word << " in: " << outcome.text;
    }
  }

  static inline testing::TemporaryFolder* folder_ = nullptr;
};

}  // namespace fourstep
