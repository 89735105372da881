"""What the ridges are made of: inputs, sums of squares, the newest rows, penalties, errors."""
