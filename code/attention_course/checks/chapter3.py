"""Checks of Chapter 3's exercises."""
