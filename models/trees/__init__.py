"""What boosted trees are made of: rows of a table, boosters, a walk through them."""
