"""The algorithm, one concept per file: arrays and tensors in, arrays and tensors out."""
