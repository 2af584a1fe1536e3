"""Answers to the exercises of Chapter 3."""
