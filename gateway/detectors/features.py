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
    Feature("novelty", _SHARE, "of the slot's longer words: new to this tenant"),
    Feature("tasks", _SHARE, "of the slot's sentences: begin with a verb of task-giving (write, explain, given, ...)"),
    Feature("questions", _SHARE, "of the slot's sentences: end in a question mark or begin with a question word"),
    Feature("polish", _SHARE, "of the slot's sentences: begin with a capital letter and end in punctuation"),
    Feature(
        "personal",
        _SHARE,
        "ten times the share of the slot's words that speak of one's own affairs (I, my, our, please, thanks)",
    ),
    Feature("code", _SHARE, "ten times the share of the slot's characters that are signs of code and data"),
    Feature("digits", _SHARE, "three times the share of the slot's words that begin with a digit"),
    Feature("english", _SHARE, "twice the share of the slot's words that are among the commonest of English"),
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
    Feature("numbers", _SHARE, "of the slot's sentences: hold a number in words or digits"),
    Feature("system", _SHARE, "how long the system prompt is: 62.5 for each doubling"),
)

INDEX = {feature.name: index for index, feature in enumerate(FEATURES)}


def _words(text: str) -> frozenset[bytes]:
    return frozenset(word.encode() for word in text.split())


TASK_VERBS = _words(
    "write create generate explain describe given design develop compose suggest summarize summarise classify identify list "
    "provide construct discuss compare imagine rewrite outline edit translate convert calculate determine come make "
    "propose analyze analyse draft give produce formulate invent pretend act build implement define evaluate predict "
    "categorize brainstorm choose select craft add remove replace arrange rank recommend based using assume suppose consider "
    "output create: write: illustrate elaborate prove solve compute show derive simplify plan devise introduce interpret "
    "conduct research organize sort match fill answer extract paraphrase complete correct critique review recite narrate"
)
"""First words of instructions, as task sets write them."""

QUESTION_WORDS = _words(
    "what how why who which when where is are can does do could should would if did was were whose whom"
) - _words("if")

PERSONAL = _words(
    "i i'm i've i'd i'll im ive my me mine we our us we're we've myself please thanks thank hi hello hey ok okay lol pls plz "
    "sorry yeah yes your you're u ur dont can't don't didn't doesn't won't couldn't isn't wasn't mr mrs"
) - _words("your")

COMMON = _words(
    "the of and to a in is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were her all she there would their we him been has when who will more no if out so said what up its "
    "about into than them can only other new some could time these two may then do first any my now such like our "
    "over man me even most made after also did many before must through back years where much your way well down "
    "should because each just those people how too little state good very make world still own see men work long get "
    "here between both life being under never day same another know while last might us great old year off come since "
    "against go came right used take three "
)
"""The commonest words of English text."""

CODE_SIGNS = b'{}[]()<>=;_\\/|*#+&$@~`^"'
