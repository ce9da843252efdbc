"""Measurements side by side with peers in the same run; ratios, not absolutes, are what to quote."""
