"""Training of the bundled model: drawn scenes, networks, and a judge that looks for the object in a prompt."""
