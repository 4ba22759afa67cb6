"""Settings as plain data, and their spellings: sliders, infotext, API, presets."""
