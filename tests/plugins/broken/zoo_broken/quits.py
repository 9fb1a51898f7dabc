"""A module that ends the process when imported, or would."""

import sys

sys.exit("goodbye")
