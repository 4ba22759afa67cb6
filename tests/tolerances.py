"""Largest difference of a result in each dtype from the same result in float64."""
import torch

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 5e-3}
