# SPDX-License-Identifier: Apache-2.0
"""A recogniser of entities from an encoder, in seconds: a linear head over the states of its tokens.

    train_ner.py ENCODER TEXTS OUT

Words of two short lists are labelled wherever they stand in TEXTS (a text on each line), all others are
none; the head is the least-squares fit of the labels to the states. OUT is a checkpoint of
BertForTokenClassification, which ner.py reads. Three quarters of the texts are fitted; what is printed is
how the head labels the rest. It knows the words of the lists in new sentences; words on no list it does not
find (eight were tried): for that a head is not enough, the encoder has to be trained.
"""
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

import tessera

LISTS = {
    "LANGUAGE": "python perl ruby java haskell lua php javascript fortran erlang prolog lisp ocaml scheme ada tcl",
    "FORMAT": "html xml pdf json csv mp3 ogg png jpeg latex postscript svg mpeg yaml flac tiff",
}
LABELS = ["O", *LISTS]
RIDGE = 1e-5  # keeps the fit from following single words


def words_and_states(encoder, texts):
    """The words that are one token, and their states (N,H)."""
    words, states = [], []
    for one in encoder.encode(texts, output_value=None):
        tokens = [encoder.model.token(int(i)) for i in one["input_ids"]] + [""]
        for i, token in enumerate(tokens[:-1]):
            if token[0].isalnum() and not tokens[i + 1].startswith("##"):
                words.append(token)
                states.append(one["token_embeddings"][i])
    return words, np.array(states)


def fit(states, labels):
    """Weights (labels,H) and bias: ridge regression of +-1; labels that are rare count more."""
    x = np.hstack([states, np.ones((len(states), 1), np.float32)]).astype(np.float64)
    y = np.where(labels[:, None] == np.arange(len(LABELS)), 1.0, -1.0)
    share = np.bincount(labels, minlength=len(LABELS))[labels, None] ** -0.25
    a, b = x * share, y * share
    solution = np.linalg.solve(a.T @ a + RIDGE * (share**2).sum() * np.eye(a.shape[1]), a.T @ b)
    return solution[:-1].T, solution[-1]


def write_checkpoint(encoder, out, weight, bias):
    """The encoder's files with a head: its tensors behind those that are there."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(encoder / name, out / name)
    config = json.loads((encoder / "config.json").read_text())
    config.update(
        architectures=["BertForTokenClassification"],
        id2label=dict(enumerate(LABELS)),
        label2id={name: i for i, name in enumerate(LABELS)},
    )
    (out / "config.json").write_text(json.dumps(config, indent=1))
    data = (encoder / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    scale = 5.0  # from +-1 to logits
    for name, array in (("classifier.weight", weight * scale), ("classifier.bias", bias * scale)):
        raw = array.astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": array.shape,
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    text = json.dumps(header).encode()
    (out / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


def main():
    directory, texts, out = (
        sys.argv[1],
        Path(sys.argv[2]).read_text().splitlines(),
        Path(sys.argv[3]),
    )
    encoder = tessera.Encoder(directory)
    listed = {word: LABELS.index(name) for name, words in LISTS.items() for word in words.split()}
    rest = len(texts) // 4
    words, states = words_and_states(encoder, texts[rest:])
    weight, bias = fit(states, np.array([listed.get(word, 0) for word in words]))
    write_checkpoint(Path(directory), out, weight, bias)
    words, states = words_and_states(encoder, texts[:rest])
    labels = np.array([listed.get(word, 0) for word in words])
    answers = (states @ weight.T + bias).argmax(1)
    found = (answers == labels) & (labels > 0)
    print(
        f"of {(labels > 0).sum()} names in {len(words)} words {found.sum()} are found, "
        f"and {((answers > 0) & ~found).sum()} others are taken for one"
    )


if __name__ == "__main__":
    main()
