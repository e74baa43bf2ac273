"""Fields of a request that a policy may take out or refuse, by name, and what else it says of a request's fields.

Rule 1: bodies are never changed in place; where nothing has to change the very same object is returned.
Rule 2: a field that says nothing is not there: null, an empty list or object, and the value that servers take when it is
missing (`logprobs: false`, `n: 1`, `skip_special_tokens: true`). `logprobs: 0` of the completions API asks for one, and is.

Failure policy: `FieldRefused` names the field and never its value. What cannot be compared with a bound (a temperature that is
no number, an `n` that is no integer) is refused where there is a bound: some servers read "5" as 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.policy.model import Output


class FieldRefused(ValueError):
    """The policy refuses a request for one of its fields. `param` is the field's path, `message` a sentence for the caller."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param
        self.message = message


class Field(NamedTuple):
    """What one name in `drop` or `refuse` stands for."""

    what: str
    """What the field asks for; used in docs and errors."""
    also: tuple[str, ...] = ()
    """Other fields that ask for the same."""
    include: tuple[str, ...] = ()
    """Entries of the list `include` that ask for the same, on the responses API and on transcriptions."""
    idle: Any = False
    """The value that says nothing, beside null and what is empty."""


_GUIDED = ("guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_json_object", "structural_tag")

FIELDS: Mapping[str, Field] = {
    # What leaks more than text.
    "logprobs": Field(
        "log probabilities of what was written, and of what else might have been",
        also=("top_logprobs", "n_probs"),
        include=("message.output_text.logprobs", "logprobs"),
    ),
    "top_logprobs": Field("log probabilities of what else might have been written", also=("n_probs",)),
    "prompt_logprobs": Field("log probabilities of the input"),
    "logit_bias": Field("weights of single tokens; with logprobs they give a model's last layer away"),
    "echo": Field("the input as part of the answer"),
    "return_token_ids": Field("ids of the tokens"),
    "return_tokens_as_token_ids": Field("ids of tokens in the place of their text"),
    "return_hidden_states": Field("a model's inner states"),
    # How many answers.
    "n": Field("several answers at once", idle=1),
    "best_of": Field("several answers, of which the best are returned", idle=1),
    # Where an answer ends.
    "stop": Field("texts that end an answer", also=("stop_sequences",)),
    "stop_token_ids": Field("tokens that end an answer"),
    "include_stop_str_in_output": Field("the text that ended an answer as part of it"),
    "min_tokens": Field("a least length", idle=0),
    "ignore_eos": Field("going on where the model would end"),
    # Which tokens, and how they are shown.
    "allowed_token_ids": Field("the only tokens that may be written"),
    "bad_words": Field("texts that may not be written"),
    "logits_processors": Field("code of the server's that changes weights", also=("custom_logit_processor",)),
    "skip_special_tokens": Field("special tokens shown in the answer", idle=True),
    "spaces_between_special_tokens": Field("spaces between special tokens", idle=True),
    # What an answer must look like.
    "guided_json": Field("an answer that keeps to a schema"),
    "guided_regex": Field("an answer that matches a pattern"),
    "guided_choice": Field("one of the given answers"),
    "guided_grammar": Field("an answer that keeps to a grammar"),
    "guided_decoding_backend": Field("the server's means of guiding", also=("guided_whitespace_pattern",)),
    "structured_outputs": Field("an answer that keeps to a form, whichever way it is asked for", also=_GUIDED),
    "response_format": Field("JSON, or JSON that keeps to a schema"),
    # Sampling.
    "seed": Field("the same answer again", also=("random_seed",), idle=None),
    "temperature": Field("how much chance there is", idle=None),
    "top_p": Field("sampling from the likeliest tokens", idle=None),
    "top_k": Field("sampling from so many tokens", idle=None),
    "min_p": Field("sampling from tokens that are likely enough", idle=None),
    # What goes in beside the messages.
    "tools": Field("calls of tools", also=("functions",)),
    "documents": Field("documents for the model's template"),
    "prompt_embeds": Field("input as vectors"),
    "chat_template": Field("a template of the caller's"),
    "chat_template_kwargs": Field("arguments of the template"),
    "add_generation_prompt": Field("the template without its end", idle=True),
    "continue_final_message": Field("going on with the last message"),
    "include": Field("more in the answer than usual"),
    # The server's own.
    "kv_transfer_params": Field("caches moved between servers"),
    "cache_salt": Field("a cache of one's own"),
    "priority": Field("a place in the server's queue", idle=0),
    "service_tier": Field("a class of service, and its price"),
    "metadata": Field("notes for the vendor's records"),
    "vllm_xargs": Field("arguments of a server's extensions"),
}
"""By the name that a policy gives it, which is a field of the same name."""

_REFUSED = "`{}` ({}) is not allowed here: leave it out"
_EMPTY: tuple[Any, ...] = ([], {})


class Prepared(NamedTuple):
    """A request's body as the policy leaves it."""

    body: dict[str, Any]
    dropped: tuple[str, ...]
    """Fields that were there and were taken out, each once, in the order of the policy."""


def prepare(body: dict[str, Any], output: Output) -> Prepared:
    """Take out what is to be dropped, and move the temperature into its bounds.

    A missing temperature stays missing: some models take none, and the server's own default is the operator's to set.
    Raises FieldRefused.
    """
    for name in output.refuse:
        for key, entry in _present(body, name):
            raise FieldRefused(key, _REFUSED.format(entry or key, FIELDS[name].what))
    changed = body
    dropped: dict[str, None] = {}
    for name in output.drop:
        for key, entry in _present(changed, name):
            if changed is body:
                changed = body.copy()
            rest = [each for each in changed[key] if each != entry] if entry else []
            if rest:
                changed[key] = rest
            else:
                del changed[key]
            dropped[entry or key] = None
    if output.choices_max is not None:
        _check_choices(changed, output.choices_max)
    if output.temperature_milli is not None:
        changed = _tempered(changed, *output.temperature_milli)
    return Prepared(changed, tuple(dropped))


def _present(body: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """Where a name's fields stand in a body: (key, entry of the list under that key, or "")."""
    field = FIELDS[name]
    found = [(key, "") for key in (name, *field.also) if key in body and not _is_idle(body[key], field.idle)]
    if field.include and type(entries := body.get("include")) is list:
        found += [("include", entry) for entry in field.include if entry in entries]
    return found


def _is_idle(value: Any, idle: Any) -> bool:
    # By type too: True == 1 in Python, and `logprobs: 0` is not `logprobs: false`.
    return value is None or value in _EMPTY or (type(value) is type(idle) and value == idle)


def _check_choices(body: dict[str, Any], most: int) -> None:
    for key in ("n", "best_of"):
        value = body.get(key)
        if value is None:
            continue
        if type(value) is not int:
            raise FieldRefused(key, f"`{key}` must be an integer: at most {most} is allowed here")
        if value > most:
            raise FieldRefused(key, f"`{key}` is too large: at most {most} is allowed here")


def _tempered(body: dict[str, Any], least_milli: int, most_milli: int) -> dict[str, Any]:
    value = body.get("temperature")
    if value is None:
        return body
    if type(value) is not int and type(value) is not float:
        raise FieldRefused("temperature", "`temperature` must be a number")
    moved = min(max(value, least_milli / 1000), most_milli / 1000)
    return body if moved == value else {**body, "temperature": moved}


def keep_stored(body: dict[str, Any], output: Output) -> dict[str, Any]:
    """What the policy says of answers that the model server makes alone or keeps, on the responses API. Raises FieldRefused.

    Where the gateway keeps none (`stored` is not "own"), an answer in the background is refused whatever `background` says: the
    API hands it out only to those who ask for it later. A reference to a stored item within the input is refused likewise.
    """
    in_background = _flag(body, "background")
    if in_background and output.background != "charge":
        raise FieldRefused("background", "`background` is not allowed here: ask for the answer and wait for it, or stream it")
    store = _flag(body, "store")
    if output.stored == "own":
        return body
    if in_background:
        raise FieldRefused("background", "`background` is not possible here: this gateway keeps no responses to ask for later")
    if store and output.stored == "refuse":
        raise FieldRefused("store", "`store` is not allowed here: this gateway keeps no responses")
    for key in ("previous_response_id", "conversation"):
        if body.get(key) is not None:
            raise FieldRefused(key, f"`{key}` is not possible here: this gateway keeps no responses; send the whole input")
    items = body.get("input")
    for at, item in enumerate(items if type(items) is list else ()):
        # An item without a type is a reference where it has an id and no content: the API's own default.
        if type(item) is dict and (item.get("type") == "item_reference" or ("id" in item and not item.keys() - {"id", "type"})):
            raise FieldRefused(
                f"input[{at}]", "items cannot be referred to here: this gateway keeps no responses; send the whole input"
            )
    return body if store is False else {**body, "store": False}


def _flag(body: dict[str, Any], key: str) -> bool | None:
    value = body.get(key)
    if value is None or type(value) is bool:
        return value
    raise FieldRefused(key, f"`{key}` must be true or false")
