"""The AUTOMATIC1111 WebUI family."""
