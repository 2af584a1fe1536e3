"""Checks of Chapter 5's exercises."""
