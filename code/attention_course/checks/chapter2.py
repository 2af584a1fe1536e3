"""Checks of Chapter 2's exercises."""
