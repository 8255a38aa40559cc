"""How a network for pictures sees: where it looks, what it confuses, and what throws it off."""
