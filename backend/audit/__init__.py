"""The hash-chained, append-only record of everything that changed or was refused."""
