"""Adapters to the programs that drive a job. No code outside this folder knows those programs."""
