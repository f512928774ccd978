"""Peer comparison with Pillow; run by compare_with_pillow.sh."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import PIL
from PIL import Image, features

NAMED = ["Res256Crop224", "BicubicRes256Crop224", "Crop288", "Res224"]


def random_image(rng, mode, width, height):
    """Smooth shapes with noise: what a resize and a JPEG encoder have to work on."""
    channels = len(mode) if mode in ("RGB", "RGBA", "CMYK", "LA") else 1
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        a, b, c = rng.uniform(-0.3, 0.3, 2).tolist() + [rng.uniform(0, 6)]
        planes.append(127 + 90 * np.sin(a * x + b * y + c) + rng.normal(0, 20, (height, width)))
    array = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return Image.fromarray(array[..., 0] if channels == 1 else array, "L" if channels == 1 else mode)


def write(kind, rng, folder, stem, width, height):
    """One image file of a kind; returns its path."""
    if kind.startswith("jpeg"):
        mode = "L" if "grey" in kind else "CMYK" if "cmyk" in kind or "ycck" in kind else "RGB"
        options = {"quality": int(rng.integers(60, 98)), "progressive": "progressive" in kind}
        if "444" in kind:
            options["subsampling"] = 0
        elif "422" in kind:
            options["subsampling"] = 1
        elif "420" in kind:
            options["subsampling"] = 2
        path = os.path.join(folder, stem + ".jpg")
        random_image(rng, mode, width, height).save(path, **options)
        if "ycck" in kind:
            mark_as_ycck(path)
        return path
    path = os.path.join(folder, stem + ".png")
    if kind == "png rgb 16 bit":
        write_png16(path, rng, width, height)
        return path
    mode = {"png grey": "L", "png grey transparent": "L", "png alpha": "RGBA", "png grey alpha": "LA"}.get(kind, "RGB")
    image = random_image(rng, mode, width, height)
    if kind == "png grey transparent":
        image.save(path, transparency=100)
        return path
    if kind == "png rgb transparent":
        image.save(path, transparency=(100, 100, 100))
        return path
    if kind == "png palette 4 bit":
        image = image.quantize(10)
    elif kind == "png palette":
        image = image.quantize(50)
    elif kind == "png palette transparent":
        image = image.quantize(50)
        image.save(path, transparency=3)
        return path
    elif kind == "png 1 bit":
        image = image.convert("1")
    image.save(path)
    return path


def mark_as_ycck(path):
    """Sets the colour transform of the Adobe marker: the same samples then mean YCCK."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    at = content.find(b"Adobe", 0, 4096)
    if at < 0:  # none there: one of our own behind the first two bytes
        content[2:2] = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x02"
    else:
        content[at + 11] = 2
    with open(path, "wb") as file:
        file.write(content)


def write_png16(path, rng, width, height):
    import struct
    import zlib

    rows = rng.integers(0, 65536, (height, width * 3)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    with open(path, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)))
        out.write(chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def preprocess(image, name):
    """Resize and centre crop by Pillow, sizes by torchvision's rules."""
    if name == "none":
        return image
    bicubic = name.startswith("Bicubic")
    body = name[7:] if bicubic else name
    size, _, crop = body.partition("Crop")
    method = Image.BICUBIC if bicubic else Image.BILINEAR
    if size.startswith("Res"):
        n = int(size[3:])
        width, height = image.size
        if not crop:
            return image.resize((n, n), method)
        short, long = (width, height) if width <= height else (height, width)
        if short != n:
            other = int(n * long / short)
            image = image.resize((n, other) if width <= height else (other, n), method)
    n = int(crop)
    width, height = image.size
    if n > width or n > height:
        left, top = max(0, (n - width) // 2), max(0, (n - height) // 2)
        padded = Image.new("RGB", (max(n, width), max(n, height)))
        padded.paste(image, (left, top))
        image = padded
        width, height = image.size
    top, left = int(round((height - n) / 2.0)), int(round((width - n) / 2.0))
    return image.crop((left, top, left + n, top + n))


def exported(igd, folder, name):
    out = os.path.join(folder, "out.npz")
    subprocess.run([igd, "export-images", "-q", "--data", f"folder:{folder}/images:{name}", "--out", out],
                   check=True, stdout=subprocess.DEVNULL)
    return np.load(out)["x"]


def main():
    igd, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = np.random.default_rng(seed)
    print(f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}, seed {seed}")
    failed = False
    cases = [("png rgb", name, 0) for name in NAMED]
    for _ in range(8):
        size, crop = int(rng.integers(1, 300)), int(rng.integers(1, 300))
        cubic = "Bicubic" if rng.random() < 0.5 else ""
        cases.append(("png rgb", rng.choice([f"{cubic}Res{size}Crop{crop}", f"{cubic}Res{size}", f"Crop{crop}"]), 0))
    for kind in ("png grey", "png grey transparent", "png alpha", "png grey alpha", "png rgb transparent",
                 "png palette", "png palette 4 bit", "png palette transparent", "png 1 bit", "png rgb 16 bit",
                 "jpeg grey", "jpeg rgb 444", "jpeg rgb 422", "jpeg rgb 420", "jpeg rgb 420 progressive",
                 "jpeg cmyk", "jpeg ycck"):
        cases.append((kind, "none", 0 if kind.startswith("png") else 2))
        cases.append((kind, "Res256Crop224", 0 if kind.startswith("png") else 2))
    for kind, name, allowed in cases:
        with tempfile.TemporaryDirectory() as folder:
            inner = os.path.join(folder, "images", "class")
            os.makedirs(inner)
            paths = []
            width, height = (int(v) for v in rng.integers(1, 700, 2))
            for i in range(count):
                if name != "none":
                    width, height = (int(v) for v in rng.integers(1, 700, 2))
                paths.append(write(kind, rng, inner, f"{i:04d}", width, height))
            found = exported(igd, folder, name)
            worst, wrong, pixels = 0, 0, 0
            for path, ours in zip(paths, found):
                theirs = np.asarray(preprocess(Image.open(path).convert("RGB"), name)).transpose(2, 0, 1)
                difference = np.abs(ours.astype(int) - theirs.astype(int))
                worst, wrong, pixels = max(worst, difference.max()), wrong + (difference > 0).sum(), pixels + difference.size
            verdict = "equal" if worst == 0 else f"largest difference {worst}, {wrong} of {pixels} values"
            print(f"{kind:26} {name:22} {len(found):3} images: {verdict}", flush=True)
            failed |= worst > allowed
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
