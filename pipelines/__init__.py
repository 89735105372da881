"""What acts: sources, stores, the tick, the fleet, MLflow, the command line."""
