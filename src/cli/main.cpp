// The command line: parses, calls one command, turns exceptions into one sentence and an exit code.
// Exit codes: 0 done, 1 a defect of the program, 2 bad input, 130 cancelled.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "cli/commands.h"

namespace {

int fail(int code, const std::string& sentence) {
  fmt::print(stderr, "fourstep: {}\n", sentence);
  return code;
}

int run(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return fail(2, fmt::format("{} (--help lists the options)", error.what()));
  } catch (const fourstep::Cancelled&) {
    return fail(130, "cancelled; nothing half written");
  } catch (const fourstep::Error& error) {
    return fail(2, error.what());
  } catch (const std::bad_alloc&) {
    return fail(2, "out of memory: use a smaller size, --vae-tile, or a lower --precision");
  } catch (const std::exception& error) {
    return fail(1, fmt::format("unexpected failure: {}", error.what()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("fourstep: SDXL-family images in four steps", "fourstep");
  app.require_subcommand(1);
  app.set_version_flag("--version", FOURSTEP_VERSION);
  fourstep::add_generate_command(app);
  fourstep::add_model_command(app);
  return run(app, argc, argv);
}
