"""The store: ports, the Redis ledger, the local share, the embedded server."""
