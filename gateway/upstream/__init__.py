"""Connections to the inference fleet."""
