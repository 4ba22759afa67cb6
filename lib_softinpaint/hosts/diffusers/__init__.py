"""Hugging Face diffusers."""
