# SPDX-License-Identifier: Apache-2.0
"""Which of these documents answers the question? docs/site/guides/migrating.md has it in other libraries.

    search.py MODEL
"""
import sys

import tessera

documents = [
    "vi for small screens",
    "Compiler for C",
    "play chess against the computer",
]

model = tessera.Encoder(sys.argv[1])
vectors = model.encode_document(documents)
query = model.encode_query("a text editor")
scores = model.similarity(query, vectors)[0]
print(documents[scores.argmax()])
