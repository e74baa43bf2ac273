"""Evidence of traffic: for each organisation a chain of entries, hashed and signed, that others can check for themselves."""
