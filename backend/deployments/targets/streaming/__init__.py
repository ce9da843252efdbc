"""Where streaming versions run: model servers that also consume, and share a stream by buckets of keys."""
