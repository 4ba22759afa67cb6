"""Many images on many workers: what one image needs, what runs it, and what became of it."""
