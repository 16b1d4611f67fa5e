"""How good and how fast: accuracy, bench."""
