"""The tests; a package, because a dependency brings another one of that name."""
