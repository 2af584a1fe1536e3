"""Grammars that make sentences in two languages from one meaning."""
