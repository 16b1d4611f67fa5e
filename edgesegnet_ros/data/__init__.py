"""Class files, datasets, bags, image encodings, the rendered street, and image geometry."""
