"""What trained the bundled model: scenes that are drawn, networks, and a judge that finds what a prompt asked for."""
