"""Learners for pictures, alone or beside the columns of a table."""
