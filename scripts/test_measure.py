"""Tests of the scanner behind scripts/measure, scripts/check_includes and scripts/tidy."""

import sys
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import cpp_scan  # noqa: E402



def load_script(name):
    """A script without the suffix .py as a module."""
    loader = SourceFileLoader(name, str(Path(__file__).parent / name))
    module = module_from_spec(spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


check_includes, measure, tidy = map(load_script, ("check_includes", "measure", "tidy"))


def found(text):
    """{name: (lines, parameters)} of the functions in `text`."""
    return {f.name: (f.num_lines, f.num_parameters) for f in cpp_scan.functions_of(text)}


class Functions(unittest.TestCase):
    def test_plain_functions_in_nested_namespaces(self):
        self.assertEqual(found("namespace a::b {\nnamespace {\nint f(int x) {\n  return x;\n}\n}\n"
                               "void g() { f(1); }\n}"), {"f": (3, 1), "g": (1, 0)})

    def test_a_signature_over_several_lines_counts_from_its_first(self):
        self.assertEqual(found("template <typename A, class B>\nstd::map<A, B>\njoin(const A& a,\n"
                               "     std::map<int, B> b = {{1, 2}, {3, 4}}) {\n}"), {"join": (5, 2)})

    def test_commas_in_templates_calls_and_function_types_are_not_parameters(self):
        self.assertEqual(found("int f(std::function<int(int, int)> g, std::array<int, 2> a, int c = h(1, 2)) {}"),
                         {"f": (1, 3)})

    def test_constructors_with_brace_initialisers(self):
        self.assertEqual(found("A::A(int x, int y)\n    : b_{x, y}, c_(y), d_{[&] { return 1; }()} {\n  f();\n}"
                               "\nint h() { return 2; }"), {"A": (4, 2), "h": (1, 0)})

    def test_classes_with_default_member_initialisers(self):
        self.assertEqual(found("struct S : Base<int> {\n  int a = 1;\n  std::vector<int> b{1, 2};\n"
                               "  std::function<void(int)> f{nullptr};\n public:\n  bool is() const noexcept {\n"
                               "    return a;\n  }\n  S() = default;\n};"), {"is": (3, 0)})

    def test_operators_and_trailing_return_types(self):
        self.assertEqual(found("auto A::operator()(int x) const -> std::vector<int> { return {}; }\n"
                               "bool operator==(const A& a, const A& b) { return true; }"),
                         {"operator()": (1, 1), "operator==": (1, 2)})

    def test_strings_comments_and_separators_hide_nothing(self):
        self.assertEqual(found('void f() { auto s = R"x(}}} ")x"; char c = \'{\'; int n = 1\'000; } // }\n'
                               "/* { */ void g() { puts(\"}\\\"}\"); }"), {"f": (1, 0), "g": (1, 0)})

    def test_tables_and_enums_are_no_functions(self):
        self.assertEqual(found("enum class E : int { kA, kB };\nconst Row kRows[] = {{1, f(2)}, {3, f(4)}};\n"
                               "static const std::map<int, int> kMap{{1, 2}};\nint x = f(1);"), {})

    def test_only_the_first_preprocessor_branch_counts(self):
        self.assertEqual(found("#if A\nvoid f(int a) {\n#else\nvoid f() {\n#endif\n}\nvoid g() {}"),
                         {"f": (5, 1), "g": (1, 0)})

    def test_test_macros_count_as_functions_without_parameters(self):
        self.assertEqual(found("TEST(Suite, Name) {\n  EXPECT_EQ(1, 1);\n}"), {"TEST": (3, 0)})

    def test_control_flow_inside_a_body_is_not_a_function(self):
        self.assertEqual(found("int f() {\n  if (a) {\n  }\n  for (int i : {1, 2}) {\n  }\n}"), {"f": (6, 0)})

    def test_functions_that_return_or_take_elaborated_types(self):
        self.assertEqual(found("struct tm now(struct timeval* t) { return {}; }"), {"now": (1, 1)})

    def test_lambdas_are_listed_with_their_parameters(self):
        lambdas = cpp_scan.lambdas_of("const auto f = [&](int a, int b) -> int {\n  return x[a](b);\n};\n"
                                        "[[nodiscard]] int g();")
        self.assertEqual([(f.num_lines, f.num_parameters) for f in lambdas], [(3, 2)])


class Duplicates(unittest.TestCase):
    LINES = "".join(f"int x{i} = {i};\n" for i in range(8))

    def test_a_block_of_eight_lines_in_two_files_counts_in_both(self):
        files = {"a": cpp_scan.code_lines(self.LINES), "b": cpp_scan.code_lines("// c\n" + self.LINES + "int y;")}
        total, marked = cpp_scan.duplicates(files)
        self.assertEqual((total, len(marked)), (17, 16))
        self.assertIn(("b", 2), marked)

    def test_seven_equal_lines_do_not_count(self):
        files = {"a": cpp_scan.code_lines(self.LINES), "b": cpp_scan.code_lines(self.LINES.replace("x7", "y7"))}
        self.assertEqual(cpp_scan.duplicates(files)[1], set())

    def test_comments_blank_lines_braces_and_includes_are_no_code(self):
        self.assertEqual(cpp_scan.code_lines('#include "a.h"\n\n// note\n  }\nnamespace a {\nint  b; // c\n});'),
                         [(6, "int b;")])


class Includes(unittest.TestCase):
    def problems(self, path, text):
        return [message for _, message in check_includes.include_problems(Path(path), text, check_includes.ROOT)]

    def test_allowed_arrows_pass(self):
        self.assertEqual(self.problems("src/nets/a.cpp", '#include "layers/layers.h"\n#include "base/tensor.h"'), [])

    def test_a_forbidden_arrow_is_named(self):
        self.assertEqual(self.problems("src/nets/a.cpp", '#include "io/safetensors.h"'),
                         ["nets must not include io (allowed: base, layers)"])

    def test_json_is_for_io_and_cli_and_cli11_for_cli(self):
        self.assertEqual(len(self.problems("src/nets/a.cpp", "#include <nlohmann/json.hpp>")), 1)
        self.assertEqual(self.problems("src/io/a.cpp", "#include <nlohmann/json.hpp>"), [])
        self.assertEqual(len(self.problems("src/io/a.cpp", "#include <CLI/CLI.hpp>")), 1)

    def test_nobody_includes_cli_but_its_tests(self):
        self.assertEqual(len(self.problems("tests/io/a.cpp", '#include "cli/x.h"')), 2)  # and it is not there

    def test_unknown_files_and_relative_paths_are_refused(self):
        self.assertEqual(len(self.problems("src/nets/a.cpp", '#include "nets/nothing.h"')), 1)
        self.assertEqual(len(self.problems("src/nets/a.cpp", '#include "../base/tensor.h"')), 1)

    def test_the_own_header_comes_first(self):
        text = '#include <vector>\n#include "layers/layers.h"'
        self.assertEqual(self.problems("src/layers/layers.cpp", text), ['the first include must be "layers/layers.h"'])

    def test_commented_includes_do_not_count(self):
        self.assertEqual(self.problems("src/nets/a.cpp", '// #include "io/safetensors.h"'), [])

    def test_a_type_of_two_headers_is_named(self):
        texts = {"a.h": "struct Row {\n};\nstruct Later;\nclass Once {", "b.h": "struct Later {\n};\n// struct Row {",
                 "c.h": "enum class Row : int {"}
        self.assertEqual(check_includes.type_problems(texts), [("c.h", 1, "a.h defines a type Row too")])

    def test_parallel_loops_go_through_one_function(self):
        text = "// at::parallel_for is not for us\nvoid f() { at::parallel_for(0, 2, 1, g); }"
        self.assertEqual([line for line, _ in check_includes.loop_problems(Path("src/lora/fuse.cpp"), text)], [2])
        self.assertEqual(check_includes.loop_problems(Path("src/base/parallel.cpp"), text), [])

    def test_paths_of_one_machine_are_found(self):
        folder = "/wo" + "rk/"
        self.assertEqual(len(check_includes.machine_paths(f"see {folder}x")), 1)
        self.assertEqual(check_includes.machine_paths(f"docs{folder}x"), [])


class Tidy(unittest.TestCase):
    def test_flags_keep_include_folders_and_definitions_alone(self):
        command = ("/usr/bin/c++ -DA=\\\"x\\\" -I/s -isystem /t -O3 -Wall -fpch-preprocess -std=c++20 "
                   "-Winvalid-pch -include /b/cmake_pch.hxx -o x.o -c x.cpp")
        self.assertEqual(tidy.flags_of(command), ['-DA="x"', "-I/s", "-isystem /t", "-std=c++20"])

    def test_local_names_are_those_of_anonymous_namespaces_and_static_functions(self):
        text = ("namespace p {\nnamespace {\nstruct Row { int a = 1; };\nconstexpr int kB[] = {1};\n"
                "int f(int x) { int y = g(x); return y; }\n}\nint shown() { return 1; }\n"
                "static int h() { return 2; }\n}")
        self.assertEqual(tidy.local_names(text), {"Row", "kB", "f", "h"})

    def test_files_with_a_common_local_name_are_kept_apart(self):
        texts = {"a": "namespace {\nint f() { return 1; }\n}", "b": "namespace {\nint f() { return 2; }\n}",
                 "c": "int g() { return 3; }"}
        groups = tidy.make_groups(list(texts), texts, 1)
        self.assertEqual(sorted(map(len, groups)), [1, 2])
        self.assertFalse(any({"a", "b"} <= set(group) for group in groups))

    def test_a_local_name_that_hides_a_public_function_is_kept_from_its_callers(self):
        texts = {"a.h": "int f(int x);", "b": "namespace {\nint f() { return 2; }\n}", "c": "int g() { return f(3); }"}
        self.assertEqual(sorted(tidy.make_groups(["b", "c"], texts, 1)), [["b"], ["c"]])


if __name__ == "__main__":
    unittest.main()
