"""What is computed: EdgeSegNet, its inference form, its cost and its weights files."""

STRIDE = 16
"""Height and width of an input are multiples of this; known without loading torch."""
