"""`python -m cli` is `lockgate`."""

import sys

from cli.main import main

sys.exit(main())
