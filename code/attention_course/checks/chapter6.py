"""Checks of Chapter 6's exercises."""
