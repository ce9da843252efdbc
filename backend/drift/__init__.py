"""The drift domain: what is live, held against the training reference of its version; and the truth, as it becomes known."""
