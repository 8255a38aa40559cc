"""The science of feedback: whom to trust, which answers are probably wrong, and which labels follow."""
