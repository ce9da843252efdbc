"""Telling people: one outbox for what the domains have to say, sent by Apprise, tried again until it was taken."""
