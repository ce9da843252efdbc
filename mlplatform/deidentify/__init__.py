"""Removing personal data from data sets: operators by column, keys by reference, and a record of what was done.

What the operators promise, and what they do not: masked values are gone; a keyed hash tells whether two values are equal
and no more, to whoever lacks the key; format-preserving encryption and tokens can be turned back, the one with the key, the
other with the vault; generalised values still say something, and together with others may still point at a person.
"""
