"""Reads C++ files without a compiler: enough for size limits, include directions and duplicate blocks.

It understands comments, strings (raw ones too), digit separators, preprocessor branches (the first branch
counts), constructor initialisers, lambdas and macros that look like functions (TEST). It does not expand
macros and knows no types.
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TOKEN = re.compile(r"::|->|&&|\|\||[A-Za-z_]\w*|\d[\w.']*|\S")
COMMENT_OR_LITERAL = re.compile(
    r'//(?:\\\n|[^\n])*'
    r'|/\*.*?\*/'
    r'|(?<![A-Za-z0-9_])(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)
AFTER_PARAMETERS = {"const", "noexcept", "override", "final", "volatile", "try", "requires",
                    "&", "&&", "->", ":", "[", "mutable"}
NOT_A_FUNCTION_NAME = {"if", "for", "while", "switch", "catch", "return", "sizeof", "alignas",
                       "decltype", "requires", "noexcept", "void", "int", "bool", "double", "float",
                       "char", "auto", "unsigned", "long", "explicit", "constexpr", "static_assert"}
TYPE_HEADS = {"class", "struct", "union", "enum"}
ACCESS = {"public", "private", "protected"}
CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass
class Token:
    text: str
    line: int


@dataclass
class Function:
    name: str
    first_line: int
    last_line: int
    num_parameters: int
    body: list = field(default_factory=list, repr=False)

    @property
    def num_lines(self):
        return self.last_line - self.first_line + 1


def project_files(*suffixes, root=ROOT):
    """Paths relative to `root` of the files git tracks or would track, with one of the suffixes (or all)."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root,
                            capture_output=True, text=True, check=True).stdout
    paths = sorted({Path(name) for name in listed.split("\0") if name})
    return [p for p in paths if (root / p).is_file() and (not suffixes or p.suffix in suffixes)]


def cpp_files(*folders, root=ROOT):
    """C++ files of these top folders."""
    return [p for p in project_files(".cpp", ".h", root=root) if p.parts[0] in folders]


def without_comments(text, keep_strings=False):
    """The same lines with comments blanked and, unless kept, literals emptied."""
    def blank(match):
        found = match.group(0)
        newlines = "\n" * found.count("\n")
        if found.startswith("/"):
            return " " + newlines
        if keep_strings:
            return found
        return '""' + newlines if '"' in found else "0"
    return COMMENT_OR_LITERAL.sub(blank, text)


def without_preprocessor(text):
    """The same lines with directives blanked and, of #if branches, all but the first."""
    out, branch_taken, continued = [], [], False
    for line in text.split("\n"):
        directive = re.match(r"\s*#\s*(\w+)", line)
        is_directive = continued or directive is not None
        if directive and not continued:
            word = directive.group(1)
            if word in ("if", "ifdef", "ifndef"):
                branch_taken.append(True)
            elif word in ("else", "elif") and branch_taken:
                branch_taken[-1] = False
            elif word == "endif" and branch_taken:
                branch_taken.pop()
        continued = is_directive and line.rstrip().endswith("\\")
        out.append("" if is_directive or not all(branch_taken) else line)
    return "\n".join(out)


def tokens_of(text):
    code = without_preprocessor(without_comments(text))
    return [Token(m.group(0), number) for number, line in enumerate(code.split("\n"), 1)
            for m in TOKEN.finditer(line)]


def matching(tokens, start):
    """Index of the bracket that closes tokens[start]; the last index when none does."""
    opening = tokens[start].text
    closing, depth = CLOSING[opening], 0
    for i in range(start, len(tokens)):
        if tokens[i].text == opening:
            depth += 1
        elif tokens[i].text == closing:
            depth -= 1
            if depth == 0:
                return i
    return len(tokens) - 1


def skip_template(tokens, start):
    """Index after `template <...>` heads (and their requires-free rest) that begin at `start`."""
    while start + 1 < len(tokens) and tokens[start].text == "template" and tokens[start + 1].text == "<":
        depth, i = 0, start + 1
        while i < len(tokens):
            if tokens[i].text in CLOSING:
                i = matching(tokens, i)
            depth += {"<": 1, ">": -1}.get(tokens[i].text, 0)
            i += 1
            if depth == 0:
                break
        start = i
    return start


def count_parameters(tokens):
    """Parameters between the parentheses of a declaration (given without them)."""
    if not tokens or [t.text for t in tokens] == ["void"]:
        return 0
    count, angle, i = 1, 0, 0
    while i < len(tokens):
        text = tokens[i].text
        if text in CLOSING:
            i = matching(tokens, i)
        elif text == "<":
            angle += 1
        elif text == ">":
            angle = max(0, angle - 1)
        elif text == "," and angle == 0:
            count += 1
        i += 1
    return count


def find_parameters(head):
    """(name, open, close) of the parameter list in the tokens before a `{`, or None."""
    i, seen_name = 0, ""
    while i < len(head):
        text = head[i].text
        if text == "operator":
            end = i + 1
            while end < len(head) and (head[end].text != "(" or end == i + 1 and
                                       end + 1 < len(head) and head[end + 1].text == ")"):
                end += 2 if head[end].text == "(" else 1
            seen_name, i = "operator" + "".join(t.text for t in head[i + 1:end]), end
            continue
        if text == "=":
            return None
        if text == "(":
            close = matching(head, i)
            after = head[close + 1].text if close + 1 < len(head) else ""
            if seen_name and (not after or after in AFTER_PARAMETERS):
                return seen_name, i, close
            i, seen_name = close, ""
        elif text == "[":
            i, seen_name = matching(head, i), ""
        else:
            is_name = re.match(r"[A-Za-z_]", text) and text not in NOT_A_FUNCTION_NAME
            seen_name = text if is_name else ""
        i += 1
    return None


def in_member_initialisers(head):
    """Whether the tokens before a `{` end inside a constructor's initialiser list: `A() : b(1), c`."""
    found = find_parameters(head)
    if not found or not re.match(r"[\w>]", head[-1].text):
        return False
    after = [t.text for t in head[found[2] + 1:]]
    return ":" in after[:-1] and "->" not in after[:after.index(":")]


def lambdas_of(text):
    """The lambdas of a file that have a parameter list."""
    tokens, found = tokens_of(text), []
    for i, token in enumerate(tokens):
        before = tokens[i - 1].text if i else "="
        if token.text != "[" or re.match(r"[\w\])]", before) and before != "return":
            continue
        opening = matching(tokens, i) + 1
        if opening >= len(tokens) or tokens[opening].text != "(":
            continue
        close = matching(tokens, opening)
        body = next((j for j in range(close + 1, len(tokens)) if tokens[j].text in ("{", ";", ")")), close)
        last = matching(tokens, body) if tokens[body].text == "{" else close
        found.append(Function("lambda", token.line, tokens[last].line,
                              count_parameters(tokens[opening + 1:close]), tokens[body + 1:last]))
    return found


def is_type_or_namespace(head):
    words = [t.text for t in head]
    if "namespace" in words or words[:1] == ["extern"] and len(words) == 2 + (words[1:2] == ['"']):
        return True
    return any(w in TYPE_HEADS for w in words) and find_parameters(head) is None


def classify(head):
    """What a `{` after these tokens opens at namespace or class scope: scope, function or other."""
    if is_type_or_namespace(head):
        return "scope"
    return "function" if find_parameters(head) else "other"


def read_function(tokens, start, brace, end):
    """The function whose head begins at `start` and whose body lies between `brace` and `end`."""
    head = tokens[skip_template(tokens, start):brace]
    name, opening, close = find_parameters(head)
    is_macro = re.fullmatch(r"[A-Z][A-Z0-9_]{3,}", name)
    count = 0 if is_macro else count_parameters(head[opening + 1:close])
    return Function(name, tokens[start].line, tokens[end].line, count, tokens[brace + 1:end])


def functions_of(text):
    """Every function defined in a file, in order."""
    tokens = tokens_of(text)
    functions, start, i = [], 0, 0
    while i < len(tokens):
        symbol = tokens[i].text
        if symbol in ("(", "["):
            i = matching(tokens, i)
        elif symbol in (";", "}") or symbol == ":" and tokens[i - 1].text in ACCESS:
            start = i + 1
        elif symbol == "{":
            head = tokens[skip_template(tokens, start):i]
            kind = "other" if head and in_member_initialisers(head) else classify(head)
            if kind == "scope":
                start = i + 1
            else:
                brace, i = i, matching(tokens, i)
                if kind == "function":
                    functions.append(read_function(tokens, start, brace, i))
                    start = i + 1
        i += 1
    return functions


def code_lines(text):
    """(line number, normalised text) of the lines with code: no comments, blank lines, directives, lines
    of brackets and punctuation alone, namespace openings."""
    out = []
    code = without_preprocessor(without_comments(text, keep_strings=True))
    for number, line in enumerate(code.split("\n"), 1):
        line = " ".join(line.split())
        if re.search(r"\w", line) and not re.match(r"(inline )?namespace\b|using namespace\b", line):
            out.append((number, line))
    return out


def duplicates(lines_by_file, window=8):
    """(number of code lines, set of (file, line) that lie in a window of `window` consecutive code lines
    occurring more than once)."""
    places = {}
    for file, lines in lines_by_file.items():
        for i in range(len(lines) - window + 1):
            key = tuple(text for _, text in lines[i:i + window])
            places.setdefault(key, []).append((file, i))
    marked = set()
    for found in places.values():
        if len(found) > 1:
            for file, i in found:
                marked.update((file, number) for number, _ in lines_by_file[file][i:i + window])
    return sum(len(lines) for lines in lines_by_file.values()), marked


def includes_of(text):
    """(line number, 'quote' or 'angle', path) of every #include."""
    out = []
    for number, line in enumerate(without_comments(text, keep_strings=True).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if match:
            quoted, angled = match.groups()
            out.append((number, "quote" if quoted else "angle", quoted or angled))
    return out
