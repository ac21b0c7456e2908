"""Writes tests/golden/schedulers_diffusers.json: where the schedulers of diffusers end on the toy of schedulers.py, every
16th number of the latent, for each spacing and remapping at numbers of steps that do not divide 1000.

Usage: make_schedulers.py OUTPUT
"""

import json
import sys

import diffusers
import torch

import schedulers

STEPS = (3, 7)
EVERY = 16


def main(path):
    torch.set_num_threads(1)
    cases = [case for case in schedulers.cases(STEPS) if case.scheduler != "DPMSolverSDEScheduler"]
    meta = dict(source="diffusers " + diffusers.__version__, torch=torch.__version__.split("+")[0], every=EVERY)
    rows = [dict(scheduler=case.name(), request=case.request(),
                 latent=[float(f"{x:.7g}") for x in case.sample().flatten()[::EVERY].tolist()]) for case in cases]
    with open(path, "w") as out:
        out.write('{"meta": ' + json.dumps(meta) + ',\n "cases": [\n  ' +
                  ",\n  ".join(json.dumps(row) for row in rows) + "\n ]}\n")


if __name__ == "__main__":
    main(sys.argv[1])
