"""Evidence packs: a period of the record in one file that verifies offline."""
