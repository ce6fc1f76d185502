"""Studies: methods against each other on the same inputs."""
