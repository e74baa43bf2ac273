"""A small model server that needs no model: for `gauger demo`, and for tests, which script it. See `script.Script`.

It speaks OpenAI's chat completions and Anthropic's messages well enough for the official SDKs, streamed and not, and
remembers what it was asked. It imports nothing of the rest of the project, so that it cannot share its mistakes.
"""

from gateway.demo.script import Script
from gateway.demo.seen import Seen
from gateway.demo.server import Handle, start

__all__ = ["Handle", "Script", "Seen", "start"]
