"""Realtime sessions: a WebSocket on either side, and many answers in between, each with a hold of its own.

`door`: what is decided before the upgrade, and the session's own hold. `session`: the two directions, and how a session ends.
`responses`: each response held, followed, cut, settled and recorded.
"""

from gateway.realtime.door import credentials, serve

__all__ = ("credentials", "serve")
