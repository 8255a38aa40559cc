"""Choosing among learners: folds, a portfolio in order, greedy ensembles, budgets that hold."""
