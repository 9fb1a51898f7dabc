"""One run and many: fit, record, resume, and write the checkpoint."""
