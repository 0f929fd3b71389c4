# SPDX-License-Identifier: Apache-2.0
"""Images: every way to give one means the same pixels; two towers; what is refused."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import checkpoints
import tessera

Image = pytest.importorskip("PIL.Image", reason="python3-pil is not installed")


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("glyphs")
    with tarfile.open(checkpoints.ROOT / "models/demo/data/glyphs.tar") as archive:
        members = [m for m in archive.getmembers() if m.name.endswith(".png")]
        chosen = members[::30][:24]
        for member in chosen:
            file = archive.extractfile(member)
            assert file is not None
            (folder / Path(member.name).name).write_bytes(file.read())
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def vision() -> tessera.Classifier:
    return tessera.Classifier(checkpoints.VISION, threads=2)


def test_logits_are_the_trainers(vision: tessera.Classifier, tmp_path: Path) -> None:
    cases = json.loads((checkpoints.ROOT / "models/demo/expected-vision.json").read_text())[::7]
    with tarfile.open(checkpoints.ROOT / "models/demo/data/glyphs.tar") as archive:
        archive.extractall(tmp_path)
    got = vision.logits(images=[tmp_path / "glyphs" / Path(case["image"]).name for case in cases])
    assert np.abs(got - np.array([case["logits"] for case in cases])).max() < 1e-4


def test_every_way_to_give_an_image_is_the_same(
    vision: tessera.Classifier, glyphs: list[Path]
) -> None:
    expected = vision.logits(images=glyphs)
    data = [path.read_bytes() for path in glyphs]
    pil = [Image.open(io.BytesIO(content)) for content in data]
    rgb = [np.asarray(image.convert("RGB")) for image in pil]
    grey = [np.asarray(image.convert("L")) for image in pil]
    padded = np.zeros((len(rgb), *rgb[0].shape[:2], 5), np.uint8)
    padded[..., :3] = rgb
    ways: list[list[Any]] = [
        [str(path) for path in glyphs],
        data,
        pil,
        rgb,
        grey,
        [array[:, :, np.newaxis] for array in grey],
        [
            np.dstack([array, np.full(array.shape[:2], 99, np.uint8)]) for array in rgb
        ],  # alpha is dropped
        [row[..., :3] for row in padded],  # pixels apart
        [np.asfortranarray(array) for array in rgb],
        [np.moveaxis(array, 2, 0).astype(np.float32) / 255 for array in rgb],
        [np.moveaxis(array, 2, 0).astype(np.float64) / 255 for array in rgb],
        [(glyphs[i], data[i], pil[i], rgb[i])[i % 4] for i in range(len(glyphs))],
    ]
    for number, images in enumerate(ways):
        assert np.array_equal(vision.logits(images=images), expected), number
    assert np.array_equal(vision.logits(images=np.stack(rgb)), expected)
    assert np.array_equal(vision.logits(images=rgb[3]), expected[3])
    assert np.array_equal(vision.logits(images=str(glyphs[3])), expected[3])


def test_labels_of_images(vision: tessera.Classifier, glyphs: list[Path]) -> None:
    best = vision(images=glyphs)
    right = sum(hit["label"] == path.name[0] for hit, path in zip(best, glyphs))
    assert right >= 20  # of 24; 94.4 % of all 720 are (models/demo/README.md)
    assert len(vision(images=glyphs[0], top_k=5)) == 5
    assert vision(images=[]) == []


def test_embeddings_of_images(glyphs: list[Path]) -> None:
    with tessera.Encoder(checkpoints.VISION) as encoder:
        together = encoder.encode(images=glyphs)
        assert together.shape == (24, encoder.dimension)
        assert np.array_equal(encoder.encode(images=glyphs[2]), together[2])
        assert np.array_equal(
            encoder.encode([Image.open(p) for p in glyphs]), together
        )  # no str: images
        assert np.array_equal(encoder.encode(Image.open(glyphs[5])), together[5])
        assert np.array_equal(encoder.encode(images=glyphs, show_progress_bar=True), together)
        out = np.empty_like(together)
        assert encoder.encode(images=glyphs, out=out) is out and np.array_equal(out, together)
        assert encoder.encode(images=[]).shape == (0, encoder.dimension)


def test_two_towers_are_compared(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(checkpoints.GOLDEN / "clip-full", folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "CLIPImageProcessor",
                "do_resize": False, "do_center_crop": False, "do_rescale": True,
                "rescale_factor": 1 / 255, "do_normalize": True,
                "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4],
            }
        )
    )  # fmt: skip
    # The text is cut at its end token, 2, whose state is the embedding.
    (folder / "tokenizer.json").write_text(checkpoints.word_tokenizer("[UNK]", "[CLS]"))
    pixels = np.random.default_rng(1).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    with tessera.Encoder(folder) as encoder:
        images = encoder.encode(images=list(pixels))
        texts = encoder.encode(["tea", "the cat"])
        assert images.shape == (3, 24) and texts.shape == (2, 24)
        logits, probabilities = encoder.image_text_scores(images, texts)
        scale = np.exp(encoder.info.logit_scale)
        assert np.abs(logits - scale * images @ texts.T).max() < 1e-4
        assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-6
        assert encoder.similarity(images, texts).shape == (3, 2)
    with tessera.Encoder(folder, tower="text") as encoder:
        assert np.array_equal(encoder.encode(["tea", "the cat"]), texts)
        assert np.array_equal(encoder.encode(images=list(pixels)), images)


BAD: list[tuple[Any, type[Exception], str]] = [
    (
        np.zeros((8, 8, 3), np.int32),
        TypeError,
        r"images\[1\]: got an array of int32 \(8, 8, 3\), expected uint8",
    ),
    (np.zeros((8, 8, 2), np.uint8), ValueError, r"images\[1\]: got an array of uint8 \(8, 8, 2\)"),
    (np.zeros((3, 8, 8), np.uint8), ValueError, r"expected uint8 \(H, W, 3\)"),
    (np.zeros((8, 8, 3), np.float32), ValueError, r"expected floats \(3, H, W\)"),
    (np.zeros((0, 8, 3), np.uint8), ValueError, r"images\[1\]"),
    (np.full((3, 8, 8), 2, np.float32), ValueError, "2"),
    (np.zeros((8, 8), bool), TypeError, "got an array of bool"),
    (np.array([[None]], object), TypeError, "got an array of object"),
    (b"no image", (ValueError, tessera.TesseraError), r"images\[1\]"),
    ("nowhere.png", FileNotFoundError, "nowhere.png"),
    (None, TypeError, r"images\[1\]: got None, expected a path"),
    (3, TypeError, r"images\[1\]: got an int, 3, expected a path"),
    (["a.png"], TypeError, r"images\[1\]: got a list"),
]


@pytest.mark.parametrize("image, kind, message", BAD, ids=[str(i) for i in range(len(BAD))])
def test_what_is_no_image_is_named(
    vision: tessera.Classifier, image: Any, kind: type[Exception], message: str
) -> None:
    good = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(kind, match=message) as caught:
        vision.logits(images=[good, image])
    assert isinstance(caught.value, tessera.TesseraError)


def test_images_on_another_device(vision: tessera.Classifier) -> None:
    from test_bad_input import OnDevice

    with pytest.raises(TypeError, match=r"images\[0\]: got an OnDevice on device cuda:0"):
        vision.logits(images=[OnDevice()])


def test_images_without_a_processor() -> None:
    with tessera.Encoder(checkpoints.GOLDEN / "vit-model") as encoder:
        with pytest.raises(tessera.NotFoundError, match="preprocessor_config.json"):
            encoder.encode(images=np.zeros((8, 8, 3), np.uint8))


def test_large_images_are_refused_where_asked() -> None:
    with tessera.Encoder(checkpoints.VISION) as encoder:
        with pytest.raises(ValueError, match="pixels"):
            encoder.encode(images=np.zeros((100, 100, 3), np.uint8), max_pixels=9999)


def test_open_files_are_named() -> None:
    with tessera.Encoder(checkpoints.VISION) as encoder:
        with pytest.raises(TypeError, match=r"images: got a BytesIO.*\.read\(\) gives the bytes"):
            encoder.encode(images=io.BytesIO(b"GIF89a"))
