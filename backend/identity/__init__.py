"""Who calls: verified JWTs mapped to principals, the embedded issuer, signing keys."""
