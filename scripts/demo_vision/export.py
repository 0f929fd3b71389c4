"""Writes the checkpoint as transformers publishes a ViTForImageClassification, the test images, the expected values."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from demo_text.export import write_json, write_rows, write_safetensors

from .augment import draw
from .evaluate import answers
from .faces import LABELS, Face
from .model import GlyphModel

CHANNELS = 3
PER_CLASS = 20  # shipped test images of every class
LOGITS_PER_CLASS = 2  # of these, images with expected logits


def stored_weights(model: GlyphModel) -> dict[str, torch.Tensor]:
    """The tensors as they are stored, except for the rounding to F16: three equal channels of a third each."""
    tensors = dict(model.state_dict())
    name = "vit.embeddings.patch_embeddings.projection.weight"
    tensors[name] = (tensors[name] / CHANNELS).repeat(1, CHANNELS, 1, 1)
    return tensors


def round_as_stored(model: GlyphModel) -> None:
    """Rounds the parameters so that the grey model computes what the stored F16 weights say."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = CHANNELS if name.endswith("projection.weight") else 1
            parameter.copy_((parameter / scale).half().to(parameter.dtype) * scale)


def write_model(folder: Path, model: GlyphModel) -> None:
    """config.json, preprocessor_config.json and model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = model.shape
    write_json(folder / "config.json", {
        "architectures": ["ViTForImageClassification"],
        "attention_probs_dropout_prob": 0.0,
        "encoder_stride": shape.patch,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": shape.hidden,
        "id2label": {str(i): label for i, label in enumerate(LABELS)},
        "image_size": shape.image,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "label2id": {label: i for i, label in enumerate(LABELS)},
        "layer_norm_eps": shape.eps,
        "model_type": "vit",
        "num_attention_heads": shape.heads,
        "num_channels": CHANNELS,
        "num_hidden_layers": shape.layers,
        "patch_size": shape.patch,
        "problem_type": "single_label_classification",
        "qkv_bias": True,
        "torch_dtype": "float16",
        "transformers_version": "4.28.1",
    })
    write_json(folder / "preprocessor_config.json", {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5] * CHANNELS,
        "image_processor_type": "ViTImageProcessor",
        "image_std": [0.5] * CHANNELS,
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": shape.image, "width": shape.image},
    })
    write_safetensors(folder / "model.safetensors", stored_weights(model))


def write_test_images(out: Path, model: GlyphModel, faces: list[Face], seed: int) -> dict[str, Any]:
    """PER_CLASS images of every class, the test groups in turn; returns the trainer's figures for them.

    data/glyphs.tar with glyphs/*.png; data/glyphs.tsv with file, label, the trainer's answer, family, style;
    expected-vision.json with the logits, in float64, of the first LOGITS_PER_CLASS of every class.
    """
    groups: dict[str, list[Face]] = {}
    for face in faces:
        groups.setdefault(face.group, []).append(face)
    names = sorted(groups)
    chosen: list[tuple[Face, int]] = []
    for label in range(len(LABELS)):
        for k in range(PER_CLASS):
            members = groups[names[(k * len(names) // PER_CLASS + label) % len(names)]]
            chosen.append((members[(label * PER_CLASS + k) % len(members)], label))
    generator = torch.Generator().manual_seed(seed)
    images = draw(torch.from_numpy(np.stack([f.glyphs[c] for f, c in chosen])), generator, training=False)
    labels = torch.tensor([c for _, c in chosen])
    exact = GlyphModel(model.shape).double()
    exact.load_state_dict(model.state_dict())
    got = answers(model, images)
    files: dict[str, bytes] = {}
    rows, expected = [], []
    for i, (face, label) in enumerate(chosen):
        name = f"{LABELS[label]}-{i % PER_CLASS:02d}.png"
        png = io.BytesIO()
        Image.fromarray(images[i].numpy()).save(png, "PNG", optimize=True)
        files[f"glyphs/{name}"] = png.getvalue()
        rows.append((name, LABELS[label], LABELS[int(got[i])], face.family, face.style))
        if i % PER_CLASS < LOGITS_PER_CLASS:
            with torch.no_grad():
                logits = exact(_exact_pixels(images[i : i + 1]))[0].tolist()
            expected.append({"image": name, "logits": [float(f"{v:.8g}") for v in logits]})
    write_rows(out / "data/glyphs.tsv", rows)
    write_tar(out / "data/glyphs.tar", files)
    write_json(out / "expected-vision.json", expected, 0)
    return {"images": len(images), "model accuracy": (got == labels).float().mean().item(),
            "right answers": int((got == labels).sum())}


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    """An archive whose bytes depend on the files alone: names sorted, no times, no owners."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _exact_pixels(images: torch.Tensor) -> torch.Tensor:
    """Pixel values in float64: what f32 preprocessing rounds by is part of the comparison."""
    return (images.double() / 255 - 0.5) / 0.5


def write_families(path: Path, faces: list[Face]) -> None:
    """family, split, group of look-alike families, faces."""
    rows: dict[str, list[Face]] = {}
    for face in faces:
        rows.setdefault(face.family, []).append(face)
    write_rows(path, [(name, members[0].split, members[0].group, str(len(members))) for name, members in sorted(rows.items())])
