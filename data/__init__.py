"""What the course ships besides code: recorded results, trained weights, word lists.

This folder is installed as the package `attention_course.assets`, so that a chapter finds it with
`importlib.resources.files("attention_course.assets")`, in a checkout and in Colab alike.
"""
