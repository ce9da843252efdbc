"""The embedded platform on one machine: what `platform up` starts and `platform down` stops."""
