"""Real networks, photographs and voices out of packages that carry them, each as pysmdl takes it: docs/models.md."""
