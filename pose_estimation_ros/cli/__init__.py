"""The command line: `pose-estimation <command>`."""
