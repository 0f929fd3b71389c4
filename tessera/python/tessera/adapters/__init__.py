# SPDX-License-Identifier: Apache-2.0
"""Encoders and rerankers for other libraries: adapters.langchain, .llama_index, .haystack.

Nothing here is imported by tessera, and each module imports the library of its name alone.
"""
