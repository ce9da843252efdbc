"""The catalog: what there is and who owns it, in Backstage's own entity model, read from the repositories themselves."""
