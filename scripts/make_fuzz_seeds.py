#!/usr/bin/env python3
"""Writes the seeds of the fuzz tests (small sound files of every kind) under src/test/resources.

Needs numpy, Pillow and torch. Run once; the seeds are part of the repository, so neither building nor testing needs Python.
Checksums of zip entries are set to 0, which the readers take as "not computed": a mutation of the content then reaches
the code behind the container instead of failing at the checksum.
"""
import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import numpy as np
import torch
from PIL import Image

ROOT = "src/test/resources/io/github/igdefense"


def seed(test, target, name, content):
    directory = f"{ROOT}/{test}Inputs/{target}"
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/{name}", "wb") as f:
        f.write(content)


def zero_checksums(content):
    data = bytearray(content)
    for signature, at in ((b"PK\3\4", 14), (b"PK\1\2", 16), (b"PK\7\10", 4)):
        place = data.find(signature)
        while place >= 0:
            data[place + at : place + at + 4] = b"\0\0\0\0"
            place = data.find(signature, place + 4)
    return bytes(data)


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def checkpoints():
    base = torch.arange(6.0)
    dtypes = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
              torch.bool]
    values = {
        "plain": {"w": base.reshape(2, 3), "b": torch.zeros(0, 2), "s": torch.tensor(1.5)},
        "views": {"model": {"module.t": base.reshape(2, 3).t(), "module.c": base[2:], "module.e": base[:1].expand(4)}},
        "dtypes": {str(t)[6:]: torch.ones(2).to(t) for t in dtypes},
        "nested": {"state_dict": {"mean": torch.zeros(3), "std": torch.ones(3), "w": torch.nn.Parameter(base)},
                   "epoch": 3, "lr": 0.1, "none": None, "list": [1, (2, "x"), {"a": True}], "np": np.float64(1.5),
                   "size": torch.Size([1, 2]), "big": 1 << 70, "bytes": b"ab"},
    }
    for name, value in values.items():
        content = saved(value)
        seed("model/CheckpointFuzzTest", "zip", name, zero_checksums(content))
        seed("model/CheckpointFuzzTest", "legacy", name, saved(value, _use_new_zipfile_serialization=False))
        with zipfile.ZipFile(io.BytesIO(content)) as z:
            pickle = next(n for n in z.namelist() if n.endswith("data.pkl"))
            seed("model/CheckpointFuzzTest", "pickle", name, z.read(pickle))
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
                for n in z.namelist():
                    packed.writestr(n, z.read(n))
            seed("model/CheckpointFuzzTest", "zip", name + "_deflated", zero_checksums(out.getvalue()))
    for protocol in (0, 1, 4, 5):
        import pickle as p
        seed("model/CheckpointFuzzTest", "pickle", f"protocol{protocol}",
             p.dumps({"a": [1, 2.5, None, True, "x", b"y", (1, 2), {3}], 5: 1 << 80}, protocol))
    header = {"w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
              "h": {"dtype": "BF16", "shape": [3], "data_offsets": [8, 14]}, "__metadata__": {"format": "pt"}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    seed("model/CheckpointFuzzTest", "safetensors", "two", struct.pack("<Q", len(text)) + text + bytes(range(14)))
    text = b'{"e":{"dtype":"I64","shape":[0,3],"data_offsets":[0,0]}}'
    seed("model/CheckpointFuzzTest", "safetensors", "empty", struct.pack("<Q", len(text)) + text)


def arrays():
    def npy(array):
        out = io.BytesIO()
        np.save(out, array)
        return out.getvalue()

    small = {"float32": np.arange(6, dtype="f4").reshape(2, 3), "half": np.arange(3, dtype="f2"), "scalar": np.array(True),
             "fortran_big_endian": np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3)), "empty": np.zeros((0, 4), "i8")}
    for name, array in small.items():
        seed("data/DataFuzzTest", "npy", name, npy(array))
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as z:
            z.writestr("x.npy", npy(small["float32"]))
            z.writestr("y.npy", npy(np.array([1, 2])))
            z.writestr("provenance.json", "{}")
        seed("data/DataFuzzTest", "npz", name, zero_checksums(out.getvalue()))
        seed("data/DataFuzzTest", "npz", name + "_with_checksums", out.getvalue())
    images = struct.pack(">IIII", 0x803, 2, 3, 2) + bytes(range(12))
    labels = struct.pack(">II", 0x801, 4) + bytes(range(4))
    for name, content in (("images", images), ("labels", labels)):
        seed("data/DataFuzzTest", "idx", name, content)
        seed("data/DataFuzzTest", "idx", name + ".gz", gzip.compress(content, mtime=0))


def cifar():
    record = bytes([3]) + bytes(3072)
    seed("data/DataFuzzTest", "cifarBinary", "one", b"\0" + record)
    seed("data/DataFuzzTest", "cifarBinary", "one_of_100", b"\1" + b"\1" + record)
    seed("data/DataFuzzTest", "cifarBinary", "padded", b"\2\5")
    seed("data/DataFuzzTest", "cifarBinary", "padded_of_100", b"\3\1\143")
    for name, mode in (("tar", "w"), ("tar.gz", "w:gz")):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode, format=tarfile.USTAR_FORMAT) as t:
            for file, content in (("batches.meta.txt", b"a\n" * 10), ("test_batch.bin", record)):
                info = tarfile.TarInfo("cifar-10-batches-bin/" + file)
                info.size = len(content)
                t.addfile(info, io.BytesIO(content))
        content = out.getvalue()
        seed("data/DataFuzzTest", "cifarArchive", name, content.rstrip(b"\0") + bytes(64) if name == "tar" else content)


    import pickle
    data = np.zeros((1, 3072), "u1")
    for protocol in (2, 4):
        for name, value in (
            ("cifar10", {b"batch_label": b"one", b"labels": [3], b"data": data, b"filenames": [b"x.png"]}),
            ("cifar100", {b"fine_labels": [99], b"coarse_labels": [19], b"data": data}),
            ("fortran", {"labels": np.array([3]), "data": np.asfortranarray(data)}),
            ("meta", {b"fine_label_names": [b"a"] * 100, b"coarse_label_names": [b"b"] * 20}),
        ):
            seed("data/DataFuzzTest", "cifarPickle", f"{name}_{protocol}", pickle.dumps(value, protocol))


def images():
    rng = np.random.default_rng(1)
    rgb = Image.fromarray(rng.integers(0, 256, (9, 10, 3), "u1"))
    for name, image, options in (
        ("rgb.png", rgb, {}), ("rgba.png", rgb.convert("RGBA"), {}), ("palette.png", rgb.quantize(4), {}),
        ("bits.png", rgb.convert("1"), {}), ("grey.png", rgb.convert("L"), {}),
        ("grey16.png", Image.fromarray(rng.integers(0, 65536, (4, 5)).astype("u2")), {}),
        ("rgb.jpg", rgb, {}), ("grey.jpg", rgb.convert("L"), {}), ("cmyk.jpg", rgb.convert("CMYK"), {}),
        ("progressive.jpg", rgb, {"progressive": True}), ("full.jpg", rgb, {"subsampling": 0, "quality": 95}),
    ):
        out = io.BytesIO()
        image.save(out, "PNG" if name.endswith("png") else "JPEG", **options)
        seed("data/DataFuzzTest", "image", name, out.getvalue())


checkpoints()
arrays()
cifar()
images()
