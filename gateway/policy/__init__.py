"""Policies: the YAML's shape, its loading, resolving and reloading."""
