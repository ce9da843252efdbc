"""The brokers that messages come from and answers go to, behind one small interface."""
