"""Writes tokenizer_cleaning.json: ids that programs give to texts which they clean before they cut words.
  hf_slow_ftfy   CLIPTokenizer of transformers < 5 with ftfy: Forge, CLIP-L in A1111
  hf_slow_basic  the same without ftfy
  openai         the tokenizer of OpenAI's CLIP and of open_clip: bigG in A1111
Usage: make_cleaning.py OUTPUT_FOLDER MERGES_FILE [NUMBER_OF_TEXTS]
transformers 5 has lost this tokenizer, so regenerate.py does not run this script; it needs an environment of its own:
  pip install "transformers<5" ftfy
Thousands of texts are compared by making a larger file and running the golden tests on its folder:
  FOURSTEP_GOLDEN_DIR=FOLDER build/release/tests/test_text --gtest_filter='GoldenCleaning*'"""

import html
import importlib.metadata
import json
import pathlib
import random
import sys
import tempfile
import unicodedata

import ftfy
import regex
from transformers import CLIPTokenizer
from transformers.models.clip.tokenization_clip import BasicTokenizer

CODE_PAGES = ["latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac_roman", "cp437"]
BLOCKS = [(0x20, 0x7F), (0x20, 0x7F), (0x01, 0x20), (0x7F, 0xA0), (0xA0, 0x180), (0x180, 0x250), (0x2B0, 0x340),
          (0x370, 0x530), (0x5D0, 0x5EB), (0x620, 0x6D0), (0x900, 0x980), (0xE00, 0xE80), (0x1100, 0x1200),
          (0x1E00, 0x2000), (0x2000, 0x20D0), (0x2100, 0x2300), (0x2500, 0x2700), (0x3000, 0x3100), (0x4E00, 0x4F00),
          (0xAC00, 0xAC80), (0xF8F0, 0xFA00), (0xFB00, 0xFB07), (0xFE00, 0xFE10), (0xFF00, 0xFFF0), (0xFFF0, 0x10000),
          (0x1D400, 0x1D440), (0x1F300, 0x1F650), (0x20000, 0x20010)]
FIXED = ["1girl，red", "tea &amp; coffee", "&amp; &lt;b&gt; &amp;amp; &copy;", "<b> &amp; </b>", "&amp;\n<b> &amp;",
         "it’s a cat’s “toy”", "ﬂuffy ａｎｉｍｅ　girl", "\ufeffa cat", "cafÃ©, itâ€™s", "voilÃ le travail",
         "P&EACUTE;REZ &nTILDE; &copy &#233 &#59;", "猫耳、メイド服", "👩‍🎨 🏳️‍🌈", "\x1b[1;31mred\x1b[0m",
         "a\r\nb\u2028c\x85", "ΣΟΦΟΣ İstanbul", "<|endoftext|>&lt;<|startoftext|>", "ﾊﾟﾝ ｶﾞ", "don&#39;t DON’T"]
WORDS = ["1girl", "best quality", "red eyes", "café", "schön", "Привет", "Ελλάδα", "ΣΟΦΟΣ", "日本語", "한국어", "it's",
         "l’été", "“quoted”", "…", "—", "€5", "à la mode", "às", "e\u0301", "🐱", "👩‍🎨", "\u200b", "\ufeff", "\u00ad",
         "\u2028", "\r\n", "\x1a", "\ufffd", "，", "！", "「猫」", "²", "°", "<b>", "<3", "(cat:1.2)", "'S", "'re", "’ll"]


def misread(draw, text):
    """The text's UTF-8 in a code page, bytes without a character as browsers have them."""
    for _ in range(draw.choice([1, 1, 2])):
        page, data = draw.choice(CODE_PAGES), text.encode()
        if draw.random() < 0.2:
            data = data.replace(b"\xa0", b" ")
        if draw.random() < 0.3:
            text = data.decode(page, errors="replace")
        else:
            chars = [bytes([byte]).decode(page, errors="replace") for byte in data]
            text = "".join(c if c != "\ufffd" else chr(byte) for c, byte in zip(chars, data))
    return text


def entity(draw):
    if draw.random() < 0.5:
        name = draw.choice(sorted(html.entities.html5))
        return "&" + draw.choice([name, name, name.upper()]) + draw.choice(["", ";", " "])
    number = draw.choice([draw.randrange(300), draw.randrange(0x11000), draw.randrange(0x110100), 59, 0xD800, 10**12])
    return draw.choice(["&#%d", "&#x%x", "&#X%X"]) % number + draw.choice([";", ";", "", "a;"])


def random_text(draw):
    text = ""
    for _ in range(draw.randrange(1, 7)):
        kind = draw.random()
        if kind < 0.4:
            text += draw.choice(WORDS)
        elif kind < 0.65:
            text += "".join(chr(draw.randrange(*draw.choice(BLOCKS))) for _ in range(draw.randrange(1, 4)))
        elif kind < 0.85:
            text += misread(draw, draw.choice(WORDS))
        else:
            text += entity(draw)
        text += draw.choice(["", " ", ", ", "\n"])
    return text


def is_known(text):
    """Characters that this Python does not know, entities of them too, are a matter of the Unicode version."""
    characters = text + html.unescape(html.unescape(ftfy.fix_text(text)))
    return all(unicodedata.category(c) not in ("Cn", "Cs") for c in characters)


def make_tokenizer(merges_path):
    lines = pathlib.Path(merges_path).read_text(encoding="utf-8").split("\n")[:48895]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(line.split()) for line in lines[1:] if line]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        vocab, merges = pathlib.Path(folder, "vocab.json"), pathlib.Path(folder, "merges.txt")
        vocab.write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
        merges.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return CLIPTokenizer(str(vocab), str(merges))


def openai_ids(tokenizer, text):
    """basic_clean, whitespace_clean and encode of OpenAI's SimpleTokenizer, on the same vocabulary."""
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    words = regex.findall(tokenizer.pat, regex.sub(r"\s+", " ", text).strip().lower())
    spelled = ["".join(tokenizer.byte_encoder[b] for b in word.encode()) for word in words]
    return [tokenizer.encoder[token] for word in spelled for token in tokenizer.bpe(word).split(" ")]


def main():
    folder, merges, count = pathlib.Path(sys.argv[1]), sys.argv[2], int((sys.argv[3:] or [140])[0])
    with_ftfy, without = make_tokenizer(merges), make_tokenizer(merges)
    assert with_ftfy.fix_text is not None
    without.fix_text, without.nlp = None, BasicTokenizer(strip_accents=False, do_split_on_punc=False)
    draw = random.Random(7)
    texts = FIXED + [text for text in (random_text(draw) for _ in range(2 * count)) if is_known(text)]
    cases = [{"id": f"c{i:03}", "text": text,
              "hf_slow_ftfy": with_ftfy(text, add_special_tokens=False)["input_ids"],
              "hf_slow_basic": without(text, add_special_tokens=False)["input_ids"],
              "openai": openai_ids(with_ftfy, text)} for i, text in enumerate(texts[:count])]
    versions = {name: importlib.metadata.version(name) for name in ("transformers", "ftfy", "regex")}
    meta = {"made_by": "tests/oracle/make_cleaning.py", "versions": versions,
            "unicode": unicodedata.unidata_version}
    lines = ",\n".join(json.dumps(case) for case in cases)
    path = folder / "tokenizer_cleaning.json"
    path.write_text(f'{{"meta": {json.dumps(meta)},\n"cases": [\n{lines}\n]}}\n')
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
