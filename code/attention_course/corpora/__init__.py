"""Corpora: generators, tokenizers, vocabularies and batches, without any framework."""
