"""One generation's data, in the order in which it flows."""
