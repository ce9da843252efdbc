"""Where model versions run: one interface, one package a kind of place."""
