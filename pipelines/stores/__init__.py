"""Where observations and records stay: a Delta table on disk, and its twin in memory."""
