"""Writes the published directory layouts: weights, configuration, tokenizer, samples."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .archive import Package, one_per_source
from .evaluate import SECTION_IDS, TEXT_IDS
from .model import Bert, SectionModel, Shape, encode
from .wordpiece import CLS, MASK, PAD, SEP, SPECIALS, UNK, Tokenizer

SAMPLE_SIZE = 4000
# Sections with very many similar modules: at most this many of each in the sample.
SAMPLE_CAP = 120
# Sections of programs people look for; they fill up the sample.
APPLICATION_SECTIONS = set(
    "admin comm database editors education electronics games gnome graphics hamradio kde mail math "
    "misc net science shells sound text utils vcs video web x11 xfce httpd devel fonts tex".split()
)


def write_json(path: Path, value: Any, indent: int = 2) -> None:
    """Writes JSON as transformers does: indented, one newline at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes tensors as F16, names sorted, with an 8-byte aligned header."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    offset = 0
    for name in sorted(tensors):
        blob = tensors[name].detach().numpy().astype("<f2").tobytes()
        spans = [offset, offset + len(blob)]
        header[name] = {"dtype": "F16", "shape": list(tensors[name].shape), "data_offsets": spans}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads back what write_safetensors wrote, as float32."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    result = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + size + at for at in entry["data_offsets"])
            array = np.frombuffer(data[begin:end], dtype="<f2").reshape(entry["shape"])
            result[name] = torch.from_numpy(array.astype(np.float32))
    return result


def _config(shape: Shape, architecture: str) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout": None,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "layer_norm_eps": shape.eps,
        "max_position_embeddings": shape.positions,
        "model_type": "bert",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "pad_token_id": PAD,
        "position_embedding_type": "absolute",
        "torch_dtype": "float16",
        "type_vocab_size": shape.types,
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }


def _tokenizer_json(vocabulary: list[str]) -> dict[str, Any]:
    def special(token: str, kind: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": kind}}

    def sequence(name: str, kind: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": kind}}

    single = [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)]
    added = [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, token in enumerate(SPECIALS)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, sequence("B", 1), special("[SEP]", 1)],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [CLS], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [SEP], "tokens": ["[SEP]"]},
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {token: i for i, token in enumerate(vocabulary)},
        },
    }


def _write_tokenizer(folder: Path, vocabulary: list[str], limit: int) -> None:
    names = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK}
    specials = {key: SPECIALS[i] for key, i in names.items()}
    decoder = {
        str(i): {"content": token, "lstrip": False, "normalized": False, "rstrip": False,
                 "single_word": False, "special": True}
        for i, token in enumerate(SPECIALS)
    }
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    write_json(folder / "tokenizer.json", _tokenizer_json(vocabulary))
    write_json(folder / "special_tokens_map.json", specials)
    write_json(folder / "tokenizer_config.json", {
        "added_tokens_decoder": decoder,
        "clean_up_tokenization_spaces": True,
        "do_basic_tokenize": True,
        "do_lower_case": True,
        "model_max_length": limit,
        "never_split": None,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
        **specials,
    })


def write_text_model(folder: Path, bert: Bert, vocabulary: list[str]) -> None:
    """The retrieval model as sentence-transformers publishes one."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", _config(bert.shape, "BertModel"))
    write_safetensors(folder / "model.safetensors", dict(bert.state_dict()))
    _write_tokenizer(folder, vocabulary, TEXT_IDS)
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    write_json(folder / "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ])
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": TEXT_IDS, "do_lower_case": False})
    versions = {"sentence_transformers": "2.2.2", "transformers": "4.28.1", "pytorch": "1.13.1"}
    write_json(folder / "config_sentence_transformers.json", {"__version__": versions})
    write_json(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": bert.shape.hidden,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    })


def write_section_model(folder: Path, model: SectionModel, labels: list[str], vocabulary: list[str]) -> None:
    """The classifier as transformers publishes a BertForSequenceClassification, beside `text`, whose tokenizer it has."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {
        **_config(model.bert.shape, "BertForSequenceClassification"),
        "id2label": {str(i): name for i, name in enumerate(labels)},
        "label2id": {name: i for i, name in enumerate(labels)},
        "problem_type": "single_label_classification",
    })
    write_safetensors(folder / "model.safetensors", dict(model.state_dict()))
    _write_tokenizer(folder, vocabulary, SECTION_IDS)
    for name in ("tokenizer.json", "vocab.txt", "special_tokens_map.json"):  # all but the limit is the same
        (folder / name).unlink()
        (folder / name).symlink_to(f"../text/{name}")


def choose_sample(packages: list[Package], known: list[str]) -> list[Package]:
    """Well-known packages, held-out ones, then programs in a fixed arbitrary order."""
    by_name = {p.name: p for p in packages}
    single = sorted(one_per_source(packages), key=lambda p: _order(p.name))
    chosen: dict[str, Package] = {}
    per_section: dict[str, int] = {}
    stages = (
        [by_name[name] for name in known if name in by_name],
        [p for p in single if p.split == "test"],
        [p for p in single if p.split != "test" and p.section in APPLICATION_SECTIONS],
    )
    for stage in stages:
        for p in stage:
            capped = p.section not in APPLICATION_SECTIONS and per_section.get(p.section, 0) >= SAMPLE_CAP
            if len(chosen) < SAMPLE_SIZE and not capped and p.synopsis.lower() not in chosen:
                chosen[p.synopsis.lower()] = p
                per_section[p.section] = per_section.get(p.section, 0) + 1
    return sorted(chosen.values(), key=lambda p: p.name)


def _order(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def write_rows(path: Path, rows: list[tuple[str, ...]]) -> None:
    """Tab-separated lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def expected_values(
    text_bert: Bert, section_model: SectionModel, tokenizer: Tokenizer, texts: list[str], long_texts: list[str]
) -> dict[str, Any]:
    """Reference results, computed in float64 from the weights as stored."""
    bert = Bert(text_bert.shape).double()
    bert.load_state_dict(text_bert.state_dict())
    model = SectionModel(section_model.bert.shape, section_model.classifier.out_features).double()
    model.load_state_dict(section_model.state_dict())
    result: dict[str, Any] = {"text": [], "text-sections": []}
    with torch.no_grad():
        for text in texts:
            ids = tokenizer.encode(text, TEXT_IDS)
            values = [float(f"{v:.8g}") for v in encode(bert, [ids])[0][0].tolist()]
            result["text"].append({"text": text, "ids": ids, "embedding": values})
        for text in long_texts:
            ids = tokenizer.encode(text, SECTION_IDS)
            logits = model.logits(encode(model.bert, [ids])[1])[0].tolist()
            result["text-sections"].append({"text": text, "ids": ids, "logits": [float(f"{v:.8g}") for v in logits]})
    return result
