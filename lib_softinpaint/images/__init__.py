"""Image files and masks, read and written for every host."""
