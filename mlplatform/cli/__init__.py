"""The ``platform`` command line: a table of commands, each loaded when it is used."""
