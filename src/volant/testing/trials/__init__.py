"""The simulations of the loop: what tries to fool it, and what came of it. `bench/simulations.py` runs them."""
