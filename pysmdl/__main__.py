"""`python -m pysmdl` is the `pysmdl` command."""

from pysmdl.cli import main

main()
