"""What the tensors of the ONNX files made here are called; known without onnx."""

OPSET = 17
PICTURE, LABELS, LOGITS = 'picture', 'labels', 'logits'
"""Bytes in, class ids and logits out."""
PIXELS = 'pixels'
"""Normalised floats, which TensorRT is given."""
