"""Accuracy and speed: evaluate, replay, bench, table1 and figure2."""
