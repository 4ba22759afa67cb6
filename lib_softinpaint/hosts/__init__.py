"""The programs that drive a job. Each file here is the only one that knows its program."""
