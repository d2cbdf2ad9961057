"""The engines: one module or package a check; they never import each other."""
