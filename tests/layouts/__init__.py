"""Folders of images as people have them, made up, each with the right answer beside it: see `generator.py`."""
