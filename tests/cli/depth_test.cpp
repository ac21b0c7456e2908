// How deep the network lies below the command: the functions of ours on a real stack.

#include <ATen/record_function.h>
#include <cxxabi.h>
#include <execinfo.h>
#include <gtest/gtest.h>
#include <link.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using Symbols = std::map<uintptr_t, std::string>;

/// Of this program, by address: also those that are not exported, which dladdr() does not know.
Symbols symbols_of_this_program() {
  Symbols symbols;
  FILE* pipe = popen("nm -C --defined-only /proc/$PPID/exe 2>/dev/null", "r");
  char line[65536];
  while (pipe && fgets(line, sizeof line, pipe)) {
    unsigned long address = 0;
    char kind = 0;
    int name = 0;
    if (sscanf(line, "%lx %c %n", &address, &kind, &name) < 2) continue;
    std::string text = line + name;
    text.pop_back();
    symbols[address] = text;
  }
  if (pipe) pclose(pipe);
  return symbols;
}

uintptr_t load_address() {
  uintptr_t base = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<uintptr_t*>(out) = info->dlpi_addr;
        return 1;  // the first one is the program
      },
      &base);
  return base;
}

std::vector<void*> deepest_stack;

/// Called as libtorch begins any operation; the deepest stack is one from inside the UNet's blocks.
std::unique_ptr<at::ObserverContext> keep_stack(const at::RecordFunction& operation) {
  if (std::string_view(operation.name()) != "aten::layer_norm") return nullptr;
  void* frames[256];
  const int count = backtrace(frames, 256);
  if (static_cast<size_t>(count) > deepest_stack.size())
    deepest_stack.assign(frames, frames + count);
  return nullptr;
}

bool has(const std::string& name, const char* part) { return name.find(part) != std::string::npos; }

/// A closure's body may be inlined into std::function's way to call it, and counts there then.
bool is_ours(const std::string& name, const std::string& called) {
  if (name.starts_with("fourstep::")) return true;
  return has(name, "_M_invoke") && has(name, "fourstep::") && !has(called, "{lambda");
}

/// The functions of ours that lie between UNet::forward and the command, innermost first.
std::vector<std::string> functions_between(const std::vector<void*>& stack) {
  const Symbols symbols = symbols_of_this_program();
  const uintptr_t base = load_address();
  std::vector<std::string> between;
  std::string called;
  bool is_inside = true;  // of the network
  for (const void* frame : stack) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(frame) - base;
    const auto next = symbols.upper_bound(address);
    if (next == symbols.begin() || next == symbols.end()) continue;  // of a library
    const std::string& name = std::prev(next)->second;
    if (has(name, "add_generate_command") || has(name, "::generate(")) return between;
    if (!is_inside && is_ours(name, called)) between.push_back(name);
    if (has(name, "UNetImpl::forward(")) {
      is_inside = false;
      between.clear();
    }
    called = name;
  }
  return {};
}

constexpr size_t kMost = 8;

TEST(Depth, FewFunctionsLieBetweenTheCommandAndTheNetwork) {
  const testing::TemporaryFolder folder;
  const std::string model = (folder.path() / "tiny.safetensors").string();
  testing::write_tiny_sdxl(model);
  const at::CallbackHandle handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(keep_stack));
  CLI::App app;
  add_generate_command(app);
  app.parse(
      "generate cat -q --width 64 --height 64 --steps 2 --sampler lcm --cfg-scale 1 --precision "
      "fp32 --model " +
      model + " --out " + (folder.path() / "cat.png").string());
  at::removeCallback(handle);
  const auto between = functions_between(deepest_stack);
  for (const std::string& name : between) printf("depth: %.150s\n", name.c_str());
  EXPECT_GE(between.size(), 5u) << "the stack was not understood";
  EXPECT_LE(between.size(), kMost);
}

}  // namespace
}  // namespace fourstep
