"""Class files, CamVid, the rendered street, bags, and the geometry that they share."""
