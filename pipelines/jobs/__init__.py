"""Jobs of the command line: each module has `main(config, choices) -> exit code`."""
