"""APIs the gateway speaks, by name, and the vendors whose errors and limits they write."""

from gateway.wires.anthropic import Anthropic
from gateway.wires.anthropic_batches import AnthropicBatches
from gateway.wires.anthropic_count import AnthropicCount
from gateway.wires.anthropic_messages import AnthropicMessages
from gateway.wires.base import Family, Wire
from gateway.wires.openai import OpenAI
from gateway.wires.openai_chat import OpenAIChat
from gateway.wires.openai_completions import OpenAICompletions
from gateway.wires.openai_count import OpenAICount
from gateway.wires.openai_embeddings import OpenAIEmbeddings
from gateway.wires.openai_files import OpenAIBatches, OpenAIFiles
from gateway.wires.openai_image_forms import OpenAIImageEdits, OpenAIImageVariations
from gateway.wires.openai_images import OpenAIImages
from gateway.wires.openai_moderations import OpenAIModerations
from gateway.wires.openai_responses import OpenAIResponses
from gateway.wires.openai_speech import OpenAISpeech
from gateway.wires.openai_transcripts import OpenAITranscripts, OpenAITranslations

_ALL: tuple[Wire, ...] = (
    *(OpenAIChat(), OpenAICompletions(), OpenAIResponses(), OpenAICount()),
    *(OpenAIEmbeddings(), OpenAIModerations(), OpenAISpeech(), OpenAIImages()),
    *(OpenAITranscripts(), OpenAITranslations(), OpenAIImageEdits(), OpenAIImageVariations()),
    *(OpenAIFiles(), OpenAIBatches()),
    *(AnthropicMessages(), AnthropicCount(), AnthropicBatches()),
)
WIRES: dict[str, Wire] = {wire.name: wire for wire in _ALL}
FAMILIES: dict[str, Family] = {family.name: family for family in (OpenAI(), Anthropic())}
