"""Gauger: a reverse-proxy rate-limiting gateway for model APIs."""

__version__ = "0.1.0"
