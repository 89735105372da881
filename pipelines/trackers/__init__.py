"""Where runs are shown and models registered."""
