"""Makes the golden files of the make_*.py scripts again with the reference programs that are installed now, puts
them over a temporary copy of tests/golden, and runs the golden tests of the given test programs on that copy.

    python tests/oracle/regenerate.py build/release/tests/test_text build/release/tests/test_nets ...

Fails when a program fails or checks no regenerated case, and when no program checks a file that was made.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MERGES = HERE.parents[1] / "share/clip/merges.txt"
COUNT = re.compile(r"^golden (.+): (\d+) cases checked", re.MULTILINE)


def make_files(folder):
    """Runs every script; returns the names of the files whose cases the tests must check."""
    (folder / "keys").mkdir(parents=True)
    for script, *arguments in (("make_text.py", folder, MERGES), ("make_nets.py", folder),
                               ("make_lora.py", folder / "lora.json"), ("make_image_files.py", folder),
                               ("make_training.py", folder / "training.json"),
                               ("make_pickles.py", folder / "pickles"), ("make_tiny_keys.py", folder / "keys"),
                               ("make_evaluate.py", folder),
                               ("make_schedulers.py", folder / "schedulers_diffusers.json")):
        subprocess.run([sys.executable, HERE / script, *arguments], check=True,
                       env=os.environ | {"OMP_NUM_THREADS": "1"})
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}


def golden_counts(program, folder, made):
    """Number of checked cases by regenerated file; None when a test fails."""
    ran = subprocess.run([program, "--gtest_filter=Golden*", "--gtest_brief=1"], capture_output=True, text=True,
                         env=os.environ | {"FOURSTEP_GOLDEN_DIR": str(folder)})
    if ran.returncode != 0:
        print(ran.stdout + ran.stderr)
        return None
    counts = {}
    for name, count in COUNT.findall(ran.stdout):
        if name in made:
            counts[name] = counts.get(name, 0) + int(count)
    return counts


def main(programs):
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "golden"
        shutil.copytree(HERE.parent / "golden", folder)
        made = make_files(pathlib.Path(temporary) / "made")
        shutil.copytree(pathlib.Path(temporary) / "made", folder, dirs_exist_ok=True)
        unchecked = set(made)
        for program in programs:
            counts = golden_counts(program, folder, made)
            name = pathlib.Path(program).name
            if not counts or not sum(counts.values()):
                failures.append(f"{name} {'failed' if counts is None else 'checked no regenerated case'}")
                continue
            for file, count in sorted(counts.items()):
                print(f"{name}: {file}: {count} cases checked")
            unchecked -= {file for file, count in counts.items() if count}
    failures += [f"{file} was made and no program checked it" for file in sorted(unchecked)]
    print("\n".join(failures) or "every regenerated file was checked")
    return 1 if failures or not programs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
