"""`python -m openforge`."""

from openforge.cli import main

main()
