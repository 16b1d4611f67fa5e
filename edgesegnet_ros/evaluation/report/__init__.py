"""Pages that a team decides by, comparisons of two runs, and gates for CI."""
