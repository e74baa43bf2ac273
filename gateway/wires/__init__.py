"""APIs the gateway speaks, by name, and the vendors whose errors and limits they write."""

from gateway.wires.anthropic import Anthropic
from gateway.wires.anthropic_messages import AnthropicMessages
from gateway.wires.base import Family, Wire
from gateway.wires.openai import OpenAI
from gateway.wires.openai_chat import OpenAIChat

WIRES: dict[str, Wire] = {wire.name: wire for wire in (OpenAIChat(), AnthropicMessages())}
FAMILIES: dict[str, Family] = {family.name: family for family in (OpenAI(), Anthropic())}
