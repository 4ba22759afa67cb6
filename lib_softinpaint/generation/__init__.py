"""The data of one generation: job, sampled image, kept image, history."""
