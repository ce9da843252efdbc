"""What models cost: usage as it is metered, prices, bills, how shared cost is split, budgets and what to save."""
