"""`python -m pysmdl` is the `pysmdl` command: without the working folder, which Python put first on the path."""

import os
import sys

if not getattr(sys.flags, "safe_path", False) and sys.path[:1] in ([""], [os.getcwd()]):
    del sys.path[0]

from pysmdl.cli import main

main()
