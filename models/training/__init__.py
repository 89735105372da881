"""Training: its settings, and the parts of the loop that models/lightning.py runs."""
