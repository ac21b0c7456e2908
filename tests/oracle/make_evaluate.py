"""Writes tests/golden/frechet.json: rows of numbers and the Fréchet distance of the Gaussians through them.

    python tests/oracle/make_evaluate.py [FOLDER]

Computed with numpy alone, by another way than the program's: numpy.cov, and the trace of (C1 C2)^(1/2) from the
eigenvalues of the product itself, which is not symmetric."""

import argparse
import json
from pathlib import Path

import numpy

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def frechet_distance(a, b):
    difference = a.mean(axis=0) - b.mean(axis=0)
    first, second = numpy.cov(a, rowvar=False), numpy.cov(b, rowvar=False)
    roots = numpy.sqrt(numpy.linalg.eigvals(first @ second).astype(complex))
    return float(difference @ difference + numpy.trace(first) + numpy.trace(second) - 2 * roots.sum().real)


def case(rng, width, counts, scale):
    """Correlated rows, rounded so that the file stays short."""
    rows = [numpy.round(rng.standard_normal((count, width)) @ rng.standard_normal((width, width)) * factor
                        + rng.standard_normal(width), 4)
            for count, factor in zip(counts, (1, scale))]
    return {"width": width, "a": rows[0].ravel().tolist(), "b": rows[1].ravel().tolist(),
            "distance": frechet_distance(*rows)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=GOLDEN)
    folder = parser.parse_args().folder
    rng = numpy.random.default_rng(8)
    # The last two have fewer rows than numbers: singular covariances.
    cases = [case(rng, width, counts, scale)
             for width, counts, scale in ((2, (9, 7), 1), (5, (30, 20), 3), (12, (40, 40), 0.5),
                                          (8, (5, 6), 1), (16, (4, 30), 2))]
    (folder / "frechet.json").write_text(json.dumps({"source": f"numpy {numpy.__version__}", "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
