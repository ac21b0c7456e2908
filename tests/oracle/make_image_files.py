"""Writes tests/golden/image_files.json: small image files of every kind a reader meets, with the pixels Pillow sees
in them, and numbers of the conversions between network images and 8 bit by diffusers, ComfyUI's and A1111's rule.

Usage: python tests/oracle/make_image_files.py [FOLDER]   (needs numpy, pillow, torch, diffusers)
"""
import base64
import io
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageOps

RNG = np.random.RandomState(7)
# Adam7: first column, first row, column step, row step of each pass (PNG specification, 8.2).
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def smooth(height, width, channels):
    """A picture without noise, which lossy formats keep well."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 100 * np.sin(0.3 * x + 0.2 * y * (c + 1) + c) for c in range(channels)]
    return np.stack(planes, -1).round().astype(np.uint8)


def noise(height, width, channels):
    return RNG.randint(0, 256, (height, width, channels)).astype(np.uint8)


def saved(image, container, **options):
    out = io.BytesIO()
    image.save(out, container, **options)
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(pixels, depth, color_type, interlaced):
    """PNG kinds that Pillow does not write. pixels: [H,W,C] integers."""
    dtype = ">u2" if depth == 16 else "u1"
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    rows = b""
    for x, y, step_x, step_y in passes:
        part = pixels[y::step_y, x::step_x]
        if part.size:
            rows += b"".join(b"\0" + row.astype(dtype).tobytes() for row in part)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, color_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def case(name, data, tolerance, expected=None):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    rgba = np.asarray(image.convert("RGBA"))
    pixels = np.asarray(image.convert("RGB")) if expected is None else expected
    out = {"id": name, "container": image.format or Image.open(io.BytesIO(data)).format,
           "file_b64": base64.b64encode(data).decode(), "shape": list(pixels.shape), "tolerance": tolerance,
           "pixels": pixels.flatten().tolist()}
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    if has_alpha:
        out["alpha"] = rgba[..., 3].flatten().tolist()
    return out


def png_cases():
    rgb, wide = noise(5, 7, 3), RNG.randint(0, 65536, (5, 7, 3))
    gray_wide = RNG.randint(0, 65536, (5, 7, 1))
    palette = Image.fromarray(noise(5, 7, 3)).quantize(16)
    to_8_bit = lambda values: np.repeat((values / 257).round().astype(np.uint8), 3 // values.shape[2], 2)
    yield case("png_rgb", saved(Image.fromarray(rgb), "PNG"), 0)
    yield case("png_rgba", saved(Image.fromarray(noise(5, 7, 4), "RGBA"), "PNG"), 0)
    yield case("png_gray", saved(Image.fromarray(rgb[..., 0]), "PNG"), 0)
    yield case("png_gray_alpha", saved(Image.fromarray(rgb[..., :2], "LA"), "PNG"), 0)
    yield case("png_1_bit", saved(Image.fromarray(rgb[..., 0]).convert("1"), "PNG"), 0)
    yield case("png_palette", saved(palette, "PNG"), 0)
    yield case("png_palette_transparent", saved(palette, "PNG", transparency=3), 0)
    yield case("png_rgb_interlaced", raw_png(rgb, 8, 2, True), 0)
    yield case("png_rgb_16_bit", raw_png(wide, 16, 2, False), 0, to_8_bit(wide))
    yield case("png_gray_16_bit_interlaced", raw_png(gray_wide, 16, 0, True), 0, to_8_bit(gray_wide))


def jpeg_cases():
    picture = Image.fromarray(smooth(16, 24, 3))
    yield case("jpeg_420", saved(picture, "JPEG", quality=90), 2)
    yield case("jpeg_444_progressive", saved(picture, "JPEG", quality=90, subsampling=0, progressive=True), 2)
    yield case("jpeg_gray", saved(picture.convert("L"), "JPEG", quality=90), 2)
    yield case("jpeg_cmyk", saved(picture.convert("CMYK"), "JPEG", quality=95), 2)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield case(f"jpeg_orientation_{orientation}", saved(picture, "JPEG", quality=90, exif=exif.tobytes()), 2)


def webp_cases():
    yield case("webp_lossy", saved(Image.fromarray(smooth(16, 24, 3)), "WEBP", quality=90), 2)
    yield case("webp_lossless", saved(Image.fromarray(noise(5, 7, 3)), "WEBP", lossless=True), 0)
    yield case("webp_alpha", saved(Image.fromarray(noise(5, 7, 4), "RGBA"), "WEBP", lossless=True, exact=True), 0)


def ppm_cases():
    picture = Image.fromarray(noise(5, 7, 3))
    yield case("ppm_rgb", saved(picture, "PPM"), 0)
    yield case("pgm_gray", saved(picture.convert("L"), "PPM"), 0)


def conversions():
    """values: one row of pixels; to_uint8 as diffusers, truncated as ComfyUI and A1111; and back."""
    edges = [(k + half) / 255 * 2 - 1 for k in (0, 1, 2, 63, 64, 127, 128, 200, 253, 254) for half in (0, 0.4, 0.5, 0.6)]
    values = np.array(edges + [-1.7, 1.7, -1, 1, 0], np.float32)
    image = torch.from_numpy(np.stack([values, values[::-1].copy(), -values]))[None, :, None, :]
    processor = VaeImageProcessor()
    nearest = np.asarray(processor.postprocess(image, output_type="pil")[0])
    unit = torch.clamp((image + 1.0) / 2.0, min=0, max=1)[0].permute(1, 2, 0).numpy()
    truncated = np.clip(255.0 * unit, 0, 255).astype(np.uint8)
    every = np.arange(256, dtype=np.uint8)
    back = processor.preprocess(Image.fromarray(np.stack([every] * 3, -1)[None].repeat(8, 0)))[0, 0, 0]
    return {"values": image.flatten().tolist(), "shape": list(image.shape), "nearest": nearest.flatten().tolist(),
            "truncated": truncated.flatten().tolist(), "image_from_bytes": back.tolist()}


def main():
    cases = [*png_cases(), *jpeg_cases(), *webp_cases(), *ppm_cases()]
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1] / "golden"
    path = folder / "image_files.json"
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    path.write_text(f'{{"conversions":{json.dumps(conversions(), separators=(",", ":"))},\n"cases":[\n{lines}\n]}}\n')
    print(f"{path.name}: {len(cases)} files, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
