"""External programs: one module each, with its argv, its version and the parser of its output."""
