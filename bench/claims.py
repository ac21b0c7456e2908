#!/usr/bin/env python3
"""What people say of DMD2 LoRAs, as measured tables on the shipped model.

    bench/claims.py weights|steps|samplers|cfg|precision|negative|time [--samples 500]

Each prints one table in markdown; with --write docs/claims.md it replaces that file's table between its two marks. The
rows come from `fourstep evaluate`, whose classifier is trained on first use (or named with --classifier).
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODEL = ROOT / "models/emoji/emoji.safetensors"
LORA = {bits: ROOT / f"models/emoji/emoji_dmd2_4step_lora_fp{bits}.safetensors" for bits in (16, 32)}
PROGRAM = ROOT / "build/release/bin/fourstep"
TOOL = ROOT / "build/release/bench/lora_claims"
GRID = ROOT / "build/release/bench/picture_grid"
COLUMNS = [("seen_all", "all right, seen", 100, ".1f"), ("held_out_all", "held out", 100, ".1f"),
           ("frechet_features", "FD features", 1, ".3g"), ("diversity", "diversity", 1, ".3g"),
           ("brightness", "brightness", 1, ".3f"), ("saturation", "saturation", 1, ".3f"),
           ("clipped", "clipped, %", 100, ".2f")]


def evaluate(arguments, name, rows="student", model=MODEL, lora=f"{LORA[16]}:1", **settings):
    """Rows of `fourstep evaluate`, as dictionaries. Finished ones are kept in --out."""
    command = [PROGRAM, "evaluate", "--emoji", "--json", "--rows", rows, "--model", model, "--out", arguments.out / name,
               "--classifier", arguments.classifier or arguments.out / "classifier", "--samples", arguments.samples,
               "--judged-prompts", arguments.samples, "--classifier-iterations", arguments.classifier_iterations,
               "--precision", arguments.precision, "--lora", lora]
    for key, value in {"student_steps": 4, "diversity_prompts": arguments.diversity_prompts, **settings}.items():
        command += ["--" + key.replace("_", "-"), value]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.returncode)  # the program has said why
    return json.loads(done.stdout)["rows"]


def write_grid(file, title, columns, rows, pictures):
    """A labelled sheet of picture files, row by row; "" for an empty place."""
    grid = {"title": title, "columns": columns, "rows": rows, "pictures": pictures}
    subprocess.run([str(GRID), str(file)], input=json.dumps(grid), text=True, check=True)


def row_text(label, row):
    cells = ["-" if row[key] is None else format(row[key] * factor, form) for key, _, factor, form in COLUMNS]
    return "| " + " | ".join([label, *cells]) + " |"


def table_text(heading, rows):
    lines = ["| " + " | ".join([heading, *(title for _, title, _, _ in COLUMNS)]) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    return "\n".join(lines + [row_text(label, row) for label, row in rows])


def weights(arguments):
    rows = [("0 (no LoRA)", evaluate(arguments, "base", "base")[0])]
    for weight in (0.3, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3):
        rows.append((f"{weight}", evaluate(arguments, f"weight-{weight}", lora=f"{LORA[16]}:{weight}")[0]))
    return table_text("LoRA weight, 4 steps", rows)


def steps(arguments):
    ladder = [1, 2, 3, 4, 5, 6, 8, 12, 16, 32]
    rows = evaluate(arguments, "steps", student_steps=",".join(map(str, ladder)))
    return table_text("steps", [(f"{row['steps']}", row) for row in rows])


def samplers(arguments):
    rows = []
    for sampler in ("lcm", "euler_ancestral", "euler", "dpmpp_2m"):
        for schedule in ("dmd2", "sgm_uniform", "karras"):
            settings = {"student_sampler": sampler, "student_schedule": schedule}
            rows.append((f"{sampler}, {schedule}", evaluate(arguments, f"{sampler}-{schedule}", **settings)[0]))
    return table_text("sampler and schedule, 4 steps", rows)


def cfg(arguments):
    rows = [(f"{scale}", evaluate(arguments, f"cfg-{scale}", student_cfg=scale)[0]) for scale in (0.8, 1, 1.2, 1.5, 2, 3)]
    return table_text("CFG, 4 steps", rows)


def tool(*words):
    return subprocess.run([str(word) for word in (TOOL, *words)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def precision(arguments):
    return tool("precision", MODEL, LORA[16], LORA[32])


def time(arguments):
    return tool("time", MODEL, LORA[16], LORA[32])


def negative(arguments):
    merged = arguments.out / "merged.safetensors"
    arguments.out.mkdir(parents=True, exist_ok=True)
    tool("merge", MODEL, LORA[16], merged)
    as_teacher = {"student_sampler": "dpmpp_2m", "student_schedule": "karras", "student_cfg": 3}
    rows = [("model, 30 steps, CFG 3", evaluate(arguments, "teacher", "teacher", teacher_steps=30)[0]),
            ("merged, 4 steps LCM, no CFG", evaluate(arguments, "merged-4", "base", model=merged)[0]),
            ("merged, 30 steps, CFG 3", evaluate(arguments, "merged-30", model=merged, lora=f"{LORA[16]}:0",
                                                 student_steps=30, **as_teacher)[0])]
    for weight in (-0.7, -0.85, -1.0):
        rows.append((f"merged and LoRA at {weight}, 30 steps, CFG 3",
                     evaluate(arguments, f"negative{weight}", model=merged, lora=f"{LORA[16]}:{weight}",
                              student_steps=30, **as_teacher)[0]))
    return table_text("", rows)


TABLES = {f.__name__: f for f in (weights, steps, samplers, cfg, precision, negative, time)}


def replace_table(page, name, table):
    """Between "<!-- NAME -->" and "<!-- end -->"."""
    start, end = f"<!-- {name} -->\n", "<!-- end -->"
    text = page.read_text()
    head, found, rest = text.partition(start)
    if not found or end not in rest:
        sys.exit(f"{page}: has no \"{start.strip()}\" with \"{end}\" after it")
    page.write_text(head + start + table + "\n" + rest[rest.index(end):])


def add_evaluation_options(parser):
    """What evaluate() takes from the command line."""
    parser.add_argument("--classifier", type=pathlib.Path, help="folder of a trained classifier")
    parser.add_argument("--classifier-iterations", type=int, default=5000, help="that it is, or will be, trained for")
    parser.add_argument("--diversity-prompts", type=int, default=32, help="prompts of several pictures each; 0: none")
    parser.add_argument("--precision", default="fp32", help="of the networks; bf16 takes half the time where it is fast")
    parser.add_argument("--write", type=pathlib.Path, help="page whose table is replaced")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--samples", type=int, default=500, help="pictures of seen and of held-out combinations per row")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/claims", help="keeps finished rows")
    add_evaluation_options(parser)
    arguments = parser.parse_args()
    table = TABLES[arguments.table](arguments)
    print(table)
    if arguments.write:
        replace_table(arguments.write, arguments.table, table)


if __name__ == "__main__":
    main()
