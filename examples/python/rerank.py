# SPDX-License-Identifier: Apache-2.0
"""The lines of stdin, sorted by how well they answer a question: the best five.

    rerank.py MODEL QUERY < LINES

A reranker reads every line together with the question; a model of embeddings compares their vectors.
"""
import sys

import tessera

directory, query = sys.argv[1:]
documents = sys.stdin.read().splitlines()
for hit in tessera.Reranker(directory).rank(query, documents, top_k=5, return_documents=True):
    print(f"{hit['score']:6.3f}  line {hit['corpus_id'] + 1}: {hit['text']}")
