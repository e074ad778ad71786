"""`python -m demo` is `make demo`."""

import sys

from demo.main_job import main

if __name__ == "__main__":
    sys.exit(main())
