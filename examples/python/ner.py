# SPDX-License-Identifier: Apache-2.0
"""Named entities of texts, with their places.

    ner.py MODEL TEXT...
"""
import sys

import tessera

directory, *texts = sys.argv[1:]
recognizer = tessera.EntityRecognizer(directory)
for text, entities in zip(texts, recognizer.entities(texts, aggregation_strategy="simple")):
    print(text)
    for entity in entities:
        print(
            f"  {entity['start']:3}-{entity['end']:<3} {entity['entity_group']:9} {entity['score']:.2f}  {entity['word']}"
        )
