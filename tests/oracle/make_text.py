"""Writes the golden files of the text encoders with transformers and diffusers:
  clip_text.json          states and pooled outputs of tiny random CLIP text models
  clip_conditioning.json  encode_prompt() of diffusers' SDXL and SD 1.5 pipelines on such models
  tokenizer_unicode.json  ids of transformers' CLIPTokenizer for random Unicode texts
Usage: make_text.py OUTPUT_FOLDER [MERGES_FILE]; without the merges file of CLIP the last one is left out.
Weights are not stored: random_weights.py and its C++ twin make them from names and shapes."""

import base64
import json
import pathlib
import random
import sys
import unicodedata

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from random_weights import fill, random_weight

ROWS = [0, 1, 5, 40, 76]  # positions of a chunk whose states are stored


def hf_name(name):
    """transformers 5 dropped "text_model." from the names of CLIPTextModel."""
    is_outer = name.startswith(("text_model.", "text_projection."))
    return name if is_outer else "text_model." + name


def packed(tensor):
    data = np.ascontiguousarray(tensor.detach().to(torch.float32).numpy())
    return {"shape": list(data.shape), "f32": base64.b64encode(data.tobytes()).decode()}


def make_model(with_projection, vocab_size, width, heads, layers, projection=0, act=None):
    config = CLIPTextConfig(
        vocab_size=vocab_size, hidden_size=width, intermediate_size=4 * width,
        num_hidden_layers=layers, num_attention_heads=heads, max_position_embeddings=77,
        hidden_act=act or ("gelu" if with_projection else "quick_gelu"),
        projection_dim=projection or width, bos_token_id=vocab_size - 2, eos_token_id=vocab_size - 1,
        pad_token_id=vocab_size - 1)
    model = (CLIPTextModelWithProjection if with_projection else CLIPTextModel)(config).eval()
    return model, fill(model, hf_name)


def id_rows(vocab_size):
    bos, eos = vocab_size - 2, vocab_size - 1
    draw = random.Random(5)
    words = lambda n: [draw.randrange(vocab_size - 2) for _ in range(n)]
    rows = [[bos] + words(4) + [eos] * 72, [bos] + words(30) + [eos] + [0] * 45,
            [bos] + words(75) + [eos], [bos, eos] + [0] * 75,
            [bos] + words(3) + [eos] + words(3) + [eos] + [0] * 68]
    assert all(len(row) == 77 for row in rows)
    return rows


@torch.no_grad()
def clip_case(name, with_projection, heads_hint=0, **sizes):
    model, shapes = make_model(with_projection, **sizes)
    ids = id_rows(sizes["vocab_size"])
    out = model(torch.tensor(ids), output_hidden_states=True)
    case = {"name": name, "heads_hint": heads_hint, "shapes": shapes, "ids": ids, "rows": ROWS,
            "hidden": {str(skip): packed(out.hidden_states[-(skip + 2)][:, ROWS]) for skip in (0, 1)},
            "last": packed(out.last_hidden_state[:, ROWS])}
    if sizes.get("act"):
        case["activation"] = sizes["act"]
    if with_projection:
        case["pooled"] = packed(out.text_embeds)
    return case


def clip_file():
    return {
        "meta": {"made_by": "tests/oracle/make_text.py", "weights": "random_weights",
                 "sample": {"name": "a.bias", "values": packed(random_weight("a.bias", [20]))}},
        "cases": [
            clip_case("clip_l", False, vocab_size=600, width=128, heads=2, layers=3),
            clip_case("big_g", True, vocab_size=600, width=128, heads=2, layers=4, projection=96),
            clip_case("narrow heads", False, heads_hint=4, vocab_size=540, width=48, heads=4, layers=2),
            clip_case("projection with quick_gelu", True, vocab_size=540, width=64, heads=1, layers=2,
                      projection=64, act="quick_gelu"),
        ]}


MERGES = """#version: 0.2
t h
th e</w>
c a
ca t</w>
d o
do g</w>
r e
re d</w>
a n
an d</w>
h a
ha t</w>
p i
z z
pi zz
pizz a</w>
i n</w>
o n</w>
"""


def byte_alphabet():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def make_tokenizer(merges_text, **options):
    merges = [tuple(line.split()) for line in merges_text.splitlines()[1:] if line]
    alphabet = byte_alphabet()
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(m) for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77, **options)


PROMPTS = ["", "the cat", "a red dog and the cat in the hat, on a pizza", "wow! hat!!",
           "red dog, " * 30]


def conditioning_case(kind, pipe, prompt, negative, clip_skip):
    common = dict(prompt=prompt, device="cpu", num_images_per_prompt=1,
                  do_classifier_free_guidance=True, negative_prompt=negative, clip_skip=clip_skip)
    with torch.no_grad():
        out = pipe.encode_prompt(**common)
    case = {"model": kind, "prompt": prompt, "negative": negative, "clip_skip": clip_skip or 0,
            "rows": ROWS, "context": packed(out[0][:, ROWS]),
            "negative_context": packed(out[1][:, ROWS])}
    if kind == "sdxl":
        case |= {"pooled": packed(out[2]), "negative_pooled": packed(out[3])}
    return case


def conditioning_file():
    first, second = make_tokenizer(MERGES), make_tokenizer(MERGES, pad_token="!")
    size = dict(vocab_size=len(first), heads=1, width=64, layers=3)
    text_l, shapes_l = make_model(False, **size)
    text_g, shapes_g = make_model(True, **{**size, "width": 128, "heads": 2}, projection=80)
    # The SD 1.5 pipeline's clip_skip still asks for transformers 4's inner module, which is the model itself now.
    object.__setattr__(text_l, "text_model", text_l)
    sdxl = StableDiffusionXLPipeline(
        vae=None, text_encoder=text_l, text_encoder_2=text_g, tokenizer=first, tokenizer_2=second,
        unet=None, scheduler=None)
    sd15 = StableDiffusionPipeline(
        vae=None, text_encoder=text_l, tokenizer=first, unet=None, scheduler=None,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    cases = [conditioning_case("sdxl", sdxl, prompt, None, None) for prompt in PROMPTS]
    cases.append(conditioning_case("sdxl", sdxl, "the cat", "", None))
    cases.append(conditioning_case("sdxl", sdxl, "the cat", "red hat!", 1))
    cases += [conditioning_case("sd15", sd15, prompt, "dog", None) for prompt in PROMPTS[:3]]
    cases.append(conditioning_case("sd15", sd15, "the cat", "dog", 1))
    time_ids = [1000, 900, 8, 16, 768, 640]
    return {"meta": {"made_by": "tests/oracle/make_text.py", "weights": "random_weights",
                     "merges": MERGES, "shapes": {"text_encoder": shapes_l, "text_encoder_2": shapes_g},
                     "time_ids": time_ids},
            "cases": cases}


def random_text(draw):
    pools = [range(0x20, 0x7F), range(0xA0, 0x250), range(0x300, 0x340), range(0x370, 0x530),
             range(0x600, 0x6FF), range(0x900, 0x980), range(0xAC00, 0xAC80), range(0x1100, 0x1180),
             range(0x2000, 0x2070), range(0x2150, 0x2190), range(0x3000, 0x3100), range(0x4E00, 0x4F00),
             range(0xFB00, 0xFB10), range(0xFF00, 0xFF60), range(0x1F600, 0x1F640), range(0x1D400, 0x1D440)]
    text = ""
    for _ in range(draw.randrange(1, 7)):
        pool = draw.choice(pools)
        text += "".join(chr(draw.choice(pool)) for _ in range(draw.randrange(1, 6)))
        text += draw.choice(["", " ", "'s", "'RE ", "\n", "e\u0301", "12"])
    return text


def tokenizer_file(merges_path):
    lines = pathlib.Path(merges_path).read_text(encoding="utf-8").splitlines()[:48895]
    tokenizer = make_tokenizer("\n".join(lines))
    draw = random.Random(11)
    texts = [random_text(draw) for _ in range(300)]
    # Literal special tokens and characters newer than this Python's tables are matters of their own.
    texts = [t for t in texts if "<|" not in t and all(unicodedata.category(c) != "Cn" for c in t)]
    cases = [{"id": f"u{i:03}", "text": t, "ids": tokenizer(t, add_special_tokens=False)["input_ids"]}
             for i, t in enumerate(texts)]
    return {"meta": {"made_by": "tests/oracle/make_text.py"}, "cases": cases}


def write(path, data):
    cases = ",\n".join(json.dumps(case) for case in data["cases"])
    path.write_text(f'{{"meta": {json.dumps(data["meta"])},\n"cases": [\n{cases}\n]}}\n')
    print(f"{path}: {len(data['cases'])} cases, {path.stat().st_size} bytes")


def main():
    folder = pathlib.Path(sys.argv[1])
    write(folder / "clip_text.json", clip_file())
    write(folder / "clip_conditioning.json", conditioning_file())
    if len(sys.argv) > 2:
        write(folder / "tokenizer_unicode.json", tokenizer_file(sys.argv[2]))


if __name__ == "__main__":
    main()
