"""How long things are kept, who may keep them longer, and how a person is found and erased."""
