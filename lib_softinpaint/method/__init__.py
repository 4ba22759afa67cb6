"""The mathematics, one concept a file: arrays and tensors in, arrays and tensors out."""
