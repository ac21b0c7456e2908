"""Writes the small PyTorch checkpoints of tests/golden/pickles and expected.json beside them.

Usage: python tests/oracle/make_pickles.py [FOLDER]

Every file is made by torch.save itself. expected.json gives, per file, the tensors that a reader must find
under which names: dtype, shape and row-major bytes.
"""

import collections
import json
import pathlib
import sys
import warnings
from unittest import mock

import torch

DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.float8_e4m3fn: "F8_E4M3",
}


def base_tensor():
    return torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4


def describe(tensors):
    described = {}
    for name, tensor in tensors.items():
        data = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        described[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_hex": bytes(data.tolist()).hex(),
        }
    return described


def make_cases():
    """Name -> (object to save, tensors to find, further arguments of torch.save)."""
    torch.manual_seed(0)
    x = base_tensor()
    ordered = collections.OrderedDict(weight=x, bias=x[0])
    state_dict = torch.nn.Linear(2, 2).state_dict()  # has a _metadata attribute
    trainer = {
        "state_dict": state_dict,
        "global_step": 1,
        "learning_rate": 1e-3,
        "big_number": 1 << 70,
        "optimizer_states": [{"momentum": x, "betas": (0.9, 0.999)}],
        "callbacks": {"note": None, "flag": True},
    }
    dtypes = {
        "half": x.half(),
        "bfloat": x.bfloat16(),
        "long": torch.tensor([1, -2]),
        "byte": torch.tensor([1, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "fp8": x.to(torch.float8_e4m3fn),
    }
    shared = {"whole": x, "row": x[1], "transposed": x.t(), "column": x[:, 1]}
    inversion = {  # as A1111 saves textual inversions
        "string_to_token": {"*": 265},
        "string_to_param": {"*": torch.nn.Parameter(x)},
        "name": "moody",
        "step": 100,
        "sd_checkpoint": None,
    }
    pickled_module = {**inversion, "string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(x)})}
    noted = torch.nn.Parameter(x)
    noted.note = "a Python attribute"
    return {
        "plain.pt": ({"a": x}, {"a": x}, {}),
        "ordered.pt": (ordered, ordered, {}),
        "trainer.ckpt": (trainer, state_dict, {}),
        "only_member.pt": ({"params": ordered}, ordered, {}),
        "dtypes.pt": (dtypes, dtypes, {}),
        "parameter.pt": ({"p": torch.nn.Parameter(x)}, {"p": x}, {}),
        "inversion.pt": (inversion, {"*": x}, {}),
        "parameter_dict.pt": (pickled_module, {"*": x}, {}),
        "legacy_parameter_dict.pt": (pickled_module, {"*": x}, {"_use_new_zipfile_serialization": False}),
        "parameter_list.pt": (torch.nn.ParameterList([torch.nn.Parameter(x)]), {"0": x}, {}),
        "noted_parameter.pt": ({"p": noted}, {"p": x}, {}),
        "shared.bin": (shared, shared, {}),
        "legacy.pt": (ordered, ordered, {"_use_new_zipfile_serialization": False}),
        "legacy_shared.pt": (shared, shared, {"_use_new_zipfile_serialization": False}),
    }


def main():
    default = pathlib.Path(__file__).resolve().parent.parent / "golden" / "pickles"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, (value, tensors, options) in make_cases().items():
        # Without the text of torch's classes, which the old container would hold.
        source = "torch.serialization.get_source_lines_and_file"
        with warnings.catch_warnings(), mock.patch(source, side_effect=OSError):
            warnings.simplefilter("ignore")
            torch.save(value, folder / name, **options)
        expected[name] = describe(tensors)
    text = json.dumps({"torch": torch.__version__, "files": expected}, indent=1)
    (folder / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
