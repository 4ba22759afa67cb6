"""Soft inpainting: grey repaint masks, a blend at each sampling step, and an exact composite."""
__version__ = "0.1.0"
