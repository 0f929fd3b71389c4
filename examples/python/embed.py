# SPDX-License-Identifier: Apache-2.0
"""Texts to vectors: how near each text is to the first.

    embed.py MODEL TEXT...
"""
import sys

import tessera

if len(sys.argv) < 3:
    sys.exit(__doc__)
directory, *texts = sys.argv[1:]
encoder = tessera.Encoder(directory)
vectors = encoder.encode(texts)  # float32, (texts, width)
cosines = encoder.similarity(vectors[:1], vectors)[0]
print(f"{len(texts)} texts, {vectors.shape[1]} numbers each")
for cosine, text in zip(cosines, texts):
    print(f"{cosine:6.3f}  {text}")
