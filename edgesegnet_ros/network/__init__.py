"""The networks: EdgeSegNet, its inference form, its cost and its weights files."""

STRIDE = 16
"""Height and width of an input are multiples of this; known without loading torch."""
HEAD_STRIDE = 4
"""Logits have one position for this many input pixels, each way."""
