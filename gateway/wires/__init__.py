"""APIs the gateway speaks, by name, and the vendors whose errors and limits they write."""

from gateway.wires.anthropic import Anthropic
from gateway.wires.anthropic_messages import AnthropicMessages
from gateway.wires.base import Family, Wire
from gateway.wires.openai import OpenAI
from gateway.wires.openai_chat import OpenAIChat
from gateway.wires.openai_completions import OpenAICompletions
from gateway.wires.openai_responses import OpenAIResponses
from gateway.wires.plain import AnthropicCount, OpenAICount, OpenAIEmbeddings, OpenAIModerations

_ALL: tuple[Wire, ...] = (
    *(OpenAIChat(), OpenAICompletions(), OpenAIResponses(), OpenAIEmbeddings(), OpenAIModerations(), OpenAICount()),
    *(AnthropicMessages(), AnthropicCount()),
)
WIRES: dict[str, Wire] = {wire.name: wire for wire in _ALL}
FAMILIES: dict[str, Family] = {family.name: family for family in (OpenAI(), Anthropic())}
