"""Model families. One folder per kind of data, one module per learner; they never import each other."""
