"""What is measured of one request, by name and unit, and the few words it takes. Order is the order of `Sighting.features`."""

from __future__ import annotations

from typing import NamedTuple


class Feature(NamedTuple):
    name: str
    unit: str
    means: str


_SHARE = "per mille"

FEATURES = (
    Feature("template", _SHARE, "of what was read: text that recurs in this tenant's requests"),
    Feature("tasks", _SHARE, "of the slot's sentences: begin with a verb of task-giving (write, explain, given, ...)"),
    Feature("opens", _SHARE, "1000: the slot's first sentence begins with a verb of task-giving"),
    Feature(
        "closes",
        _SHARE,
        "1000: the slot's last sentence asks for a quantity, a thing or a derivation (how many, what, find, prove)",
    ),
    Feature("questions", _SHARE, "of the slot's sentences: end in a question mark or begin with a question word"),
    Feature("polish", _SHARE, "of the slot's sentences: begin with a capital letter and end in punctuation"),
    Feature(
        "personal",
        _SHARE,
        "ten times the share of the slot's words that speak of one's own affairs (I, my, our, please, thanks)",
    ),
    Feature("code", _SHARE, "ten times the share of the slot's characters that are signs of code and data"),
    Feature("digits", _SHARE, "ten times the share of the slot's characters that are digits"),
    Feature("shots", _SHARE, "worked examples in the prompt, from labels that repeat inside it; 1000: ten"),
    Feature("options", _SHARE, "signs of multiple choice; 1000: four"),
    Feature("size", _SHARE, "how long the slot is: 62.5 for each doubling"),
    Feature("prompt", _SHARE, "how long the prompt is: 62.5 for each doubling"),
    Feature("sentences", _SHARE, "how many sentences the slot has: 125 for each doubling"),
    Feature("turns", _SHARE, "answers in the conversation so far; 1000: four"),
    Feature("tools", _SHARE, "1000: tools are offered, called or answered"),
    Feature("samples", _SHARE, "answers asked for at once, beyond the first; 1000: four"),
    Feature("logprobs", _SHARE, "1000: token probabilities, or a bias on tokens, are asked for"),
    Feature("warm", _SHARE, "temperature: 1000 at 1 and above; 500 where it is not set"),
    Feature("room", _SHARE, "max_tokens: 62.5 for each doubling; 0 where it is not set"),
    Feature("system", _SHARE, "how long the system prompt is: 62.5 for each doubling"),
    Feature("makes", _SHARE, "1000: what recurs asks for questions, tasks, examples or conversations to be made"),
    Feature("changes", _SHARE, "1000: what recurs asks for a task or an answer to be rewritten or improved"),
    Feature("grades", _SHARE, "1000: what recurs speaks of grading answers"),
    Feature("varies", _SHARE, "1000: what recurs asks for variety"),
    Feature("models", _SHARE, "1000: what recurs speaks of models and assistants, and not to one"),
    Feature("hard", _SHARE, "1000: what recurs speaks of difficulty"),
    Feature("inputs", _SHARE, "1000: the prompt ends with the label of what a user would say"),
)

INDEX = {feature.name: index for index, feature in enumerate(FEATURES)}


def _words(text: str) -> frozenset[bytes]:
    return frozenset(word.encode() for word in text.split())


def _firsts(text: str) -> frozenset[str]:
    return frozenset(text.split())


TASK_VERBS = _firsts(
    "accept act add adapt address adopt advise alter analyse analyze annotate answer append apply argue arrange "
    "articulate ask assemble assess assign assume attempt balance base be become begin brainstorm build calculate "
    "capture carry cast categorise categorize change characterize chart check choose cite clarify classify combine "
    "come comment compare compile complete compose compute conceive conclude condense conduct consider construct "
    "contrast convert convince copy correct count craft create critique debate debug deduce define defend deliver "
    "demonstrate derive describe design detail detect determine develop devise diagnose differentiate discuss display "
    "distinguish divide draft dramatize draw edit elaborate embody enumerate envision estimate evaluate examine "
    "execute expand explain explore express extend extract factor fill find fix follow forecast form formulate "
    "generate give given group guess highlight hypothesize identify illustrate imagine implement improve improvise "
    "include infer insert integrate interpret introduce invent investigate join judge justify label list locate look "
    "make map match measure merge model modify name narrate narrow negotiate normalize note offer optimize order "
    "organise organize outline output pair paint paraphrase parse perform persuade pick plan play plot point portray "
    "predict prepare present pretend prioritize produce program project pronounce propose prove provide punctuate put "
    "rank rate read rearrange reason recall recite recommend reconstruct record recreate reduce refactor reflect "
    "reformulate rephrase replace report represent research resolve respond restate retell return reverse review "
    "revise rewrite roleplay role-play role rotate round score search select sell separate set share show simplify "
    "simulate sketch solve sort speak specify split state step structure substitute suggest summarise summarize "
    "support suppose synthesize take talk teach test trace transform translate treat trim turn update use using "
    "utilize validate verify visualize weigh write you you're as "
)
"""First words of instructions as task sets write them: base forms, and the openings of a set scene (you are, as a)."""

QUESTION_WORDS = _firsts("what how why who which when where is are can does do could should would did was were whose whom")

CLOSING = tuple(
    f"{word} "
    for word in _firsts(
        "how what which who when where why find determine calculate compute evaluate express prove show solve simplify derive"
    )
)
"""How the last sentence of an examination problem begins. What can be answered with yes is a question about a text."""

PERSONAL = _words(
    "i i'm i've i'd i'll im ive my me mine we our us we're we've myself please thanks thank hi hello hey ok okay lol pls plz "
    "sorry yeah yes your you're u ur dont can't don't didn't doesn't won't couldn't isn't wasn't mr mrs"
) - _words("your")

CODE_SIGNS = b'{}[]()<>=;_\\/|*#+&$@~`^"'
DIGITS = b"0123456789"
