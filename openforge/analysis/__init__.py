"""Pure numerics: no files, no subprocess."""
