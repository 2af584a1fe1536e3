"""Checks of Chapter 4's exercises."""
