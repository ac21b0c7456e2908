// The command line: parses, calls one command, turns exceptions into one sentence and an exit code.
// Exit codes: 0 done, 1 a defect of the program, 2 bad input, 130 cancelled.

#include <fmt/format.h>

#include <c10/util/Exception.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/help_format.h"
#include "cli/progress_bar.h"
#include "pipeline/precision.h"

namespace {

constexpr const char* kOutOfMemory =
    "out of memory: use a smaller size, --vae-tile, or a lower --precision";

constexpr const char* kLostOutput =
    "standard output could not be written; what was printed is not whole";

int fail(int code, const std::string& sentence) {
  // Not fmt::print, which throws where standard error cannot be written: nobody is left to catch it.
  std::fputs(fmt::format("fourstep: {}\n", fourstep::on_one_line(sentence)).c_str(), stderr);
  return code;
}

/// libtorch's exceptions carry a backtrace, and one for memory that cannot be had.
int fail_in_libtorch(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  const bool is_memory = text.find("allocate memory") != std::string::npos ||
                         text.find("out of memory") != std::string::npos;
  if (is_memory) return fail(2, kOutOfMemory);
  return fail(1, "unexpected failure in libtorch: " + text.substr(0, text.find('\n')));
}

/// What was printed and did not arrive (a full disk) is no success.
int finish() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return fail(2, kLostOutput);
}

int run(CLI::App& app, int argc, char** argv) {
  try {
    fourstep::CheckedArguments arguments =
        fourstep::check_arguments(app, {argv + std::min(argc, 1), argv + argc});
    for (const std::string& sentence : arguments.notices) {
      if (!arguments.is_quiet) std::fputs(fmt::format("note: {}\n", sentence).c_str(), stderr);
    }
    std::reverse(arguments.words.begin(), arguments.words.end());  // as CLI11 takes them
    app.parse(std::move(arguments.words));
    return finish();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      app.exit(error);
      std::cout.flush();
      return std::cout ? finish() : fail(2, kLostOutput);
    }
    return fail(2, fmt::format("{} (--help lists the options)", error.what()));
  } catch (const fourstep::Cancelled&) {
    return fail(130, "cancelled; nothing half written");
  } catch (const fourstep::Error& error) {
    return fail(2, error.what());
  } catch (const std::bad_alloc&) {
    return fail(2, kOutOfMemory);
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(2, error.what());
  } catch (const c10::Error& error) {
    return fail_in_libtorch(error);
  } catch (const std::exception& error) {
    return fail(1, fmt::format("unexpected failure: {}", error.what()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  fourstep::forbid_tf32();
  CLI::App app("fourstep: SDXL-family images in four steps", "fourstep");
  app.require_subcommand(1);
  app.formatter(std::make_shared<fourstep::HelpFormat>(fourstep::help_width()));
  app.set_version_flag("--version", FOURSTEP_VERSION);
  fourstep::add_generate_command(app);
  fourstep::add_model_command(app);
  fourstep::add_inspect_command(app);
  fourstep::add_train_command(app);
  fourstep::add_train_lora_command(app);
  fourstep::add_distill_command(app);
  fourstep::add_evaluate_command(app);
  fourstep::add_lora_command(app);
  return run(app, argc, argv);
}
