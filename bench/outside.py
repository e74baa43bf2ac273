"""Families of traffic that nobody of this project wrote: templates of public packages around slots from a corpus.

Attacks are the tasks of a data-generation package; honest ones are evaluation tasks and the prompts of an application framework
(`outside_parts` says how they are read). They are there to be measured and fitted on, beside the corpus and `families`; nothing
is evaluated on a family that was fitted on.

What is on both sides of the line stands where most of its users do: a judge of answers is an attack in a package that makes
preference data and honest in one that tests applications, though they say the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from families import Family, Maker, chat
from outside_parts import Packages, Slots, fields

TASKS = "distilabel/steps/tasks/"
LANGUAGES = ("English", "Spanish", "German", "Chinese", "Hindi", "French")
JOBS = ("retrieve answers to legal questions", "match a title with its abstract", "classify the tone of a review", "find the definition of a term",
        "classify the intent of an email", "retrieve reports about a chemical", "match a claim with a headline")  # fmt: skip


def load(corpus: Path, site: Path) -> tuple[Family, ...]:
    """Every outside family. Raises SystemExit where a package is missing."""
    packages, slots = Packages(site), Slots(corpus)
    return (*_generation(packages, slots), *_evaluation(packages, slots), *_applications(packages, slots))


def _generation(packages: Packages, slots: Slots) -> list[Family]:
    made: list[Family] = []

    def add(name: str, profile: str, tenant: Callable[[random.Random], Maker]) -> None:
        made.append(Family(name, profile, tenant))

    def template(name: str) -> Callable[..., str]:
        return packages.jinja(packages.text(f"{TASKS}templates/{name}.jinja2"))

    def one_of(
        name: str, paths: tuple[str, ...], values: Callable[[random.Random], dict[str, Any]], profile: str, **params: Any
    ) -> None:
        renders = [template(path) for path in paths]

        def tenant(rng: random.Random) -> Maker:
            render = rng.choice(renders)
            return lambda: chat(render(**values(rng)), **params)

        add(name, profile, tenant)

    queries = packages.strings(f"{TASKS}self_instruct.py", 40)
    criteria = next(text for text in queries if "diverse range of verbs" in text)
    one_of("o_self_instruct", ("self-instruct",), lambda rng: {"num_instructions": 5, "criteria_for_query_generation": criteria,
           "application_description": "AI assistant", "input": rng.choice((slots.passage, slots.instruction))(rng)}, "generator", temperature=0.7, max_tokens=1024)  # fmt: skip
    one_of(
        "o_genstruct",
        ("genstruct",),
        lambda rng: {"title": slots.sentence(rng)[:40], "content": slots.passage(rng)},
        "generator",
    )

    def evol(path: str, name: str) -> Callable[[random.Random], Maker]:
        mutations = list(packages.constant(f"{TASKS}{path}/utils.py", name).values())
        return lambda rng: (
            lambda: chat(
                rng.choice(mutations).replace("<PROMPT>", slots.instruction(rng)).replace("<RESPONSE>", slots.passage(rng)),
                temperature=0.7,
            )
        )

    add("o_evol_instruct", "generator", evol("evol_instruct", "MUTATION_TEMPLATES"))
    add("o_evol_quality", "generator", evol("evol_quality", "MUTATION_TEMPLATES"))
    functions = lambda rng: {"examples": slots.functions(rng)[:600], "parallel_queries": "", "number": 3, "func_name": "f", "func_desc": slots.functions(rng),  # noqa: E731
                             "format_inst": "", "query": slots.user(rng), "func_call": "f(1)", "execution_result": "ok"}  # fmt: skip
    system = packages.constant(f"{TASKS}apigen/generator.py", "SYSTEM_PROMPT_API_GEN")
    render = template("apigen/generator")
    add("o_apigen", "generator", lambda rng: lambda: chat(render(**functions(rng)), system, temperature=0.7))
    embeddings = tuple(f"improving_text_embeddings/{name}" for name in ("text-retrieval", "text-classification", "short-text-matching", "long-text-matching",
                       "bitext-retrieval", "monolingual-triplet"))  # fmt: skip
    one_of("o_embedding_data", embeddings, lambda rng: {"task": rng.choice(JOBS), "language": rng.choice(LANGUAGES), "source_language": rng.choice(LANGUAGES),
           "target_language": rng.choice(LANGUAGES), "unit": rng.choice(("sentence", "phrase", "passage")), "high_score": rng.choice(("4", "4.5", "5")),
           "low_score": rng.choice(("2.5", "3", "3.5")), "difficulty": rng.choice(("elementary school", "high school", "college")),
           "query_type": rng.choice(("extremely long-tail", "long-tail", "common")), "query_length": rng.choice(("less than 5 words", "5 to 15 words")),
           "clarity": rng.choice(("clear", "ambiguous")), "num_words": rng.choice((50, 100, 200))}, "generator", temperature=1)  # fmt: skip
    pair = f"{TASKS}sentence_transformers.py"
    heads = [packages.constant(pair, "POSITIVE_SYSTEM_PROMPT"), packages.constant(pair, "POSITIVE_NEGATIVE_SYSTEM_PROMPT")]
    actions = list(packages.constant(pair, "GENERATION_ACTION_SENTENCES").values())
    styles = list(packages.constant(pair, "NEGATIVE_STYLE").values())

    def pairs(rng: random.Random) -> Maker:
        head = rng.choice(heads).format(context="", action_sentence=rng.choice(actions), negative_style=rng.choice(styles))
        return lambda: chat(f"## Anchor\n\n{rng.choice((slots.sentence, slots.asked))(rng)}\n", head)

    add("o_sentence_pairs", "generator", pairs)
    clair, clair_system = template("clair"), packages.constant(f"{TASKS}clair.py", "SYSTEM_PROMPT")
    add(
        "o_clair",
        "generator",
        lambda rng: lambda: chat(clair(task=slots.instruction(rng), student_solution=slots.passage(rng)), clair_system),
    )

    def steps(name: str) -> Callable[[random.Random], Maker]:
        path = f"{TASKS}math_shepherd/{name}.py"
        text = packages.constant(path, "SYSTEM_PROMPT")
        rules, shots = packages.constant(path, "RULES_GSM8K"), packages.constant(path, "FEW_SHOTS_GSM8K")

        def tenant(rng: random.Random) -> Maker:
            head = packages.jinja(text)(extra_rules=rules, few_shots=rng.choice((shots, "")), structured_prompt="")
            return lambda: chat(f"## Instruction\n{slots.math(rng)}\n## Solution\n", head, temperature=0.7)

        return tenant

    add("o_shepherd_generator", "harvest", steps("generator"))
    add("o_shepherd_completer", "harvest", steps("completer"))
    graded = lambda rng: {"instruction": slots.instruction(rng), "instructions": [slots.instruction(rng) for _ in range(4)], "generation": slots.passage(rng),  # noqa: E731
                          "generations": [slots.passage(rng) for _ in range(2)], "responses": [slots.passage(rng) for _ in range(2)],
                          "rubric": rubrics["helpfulness"]}  # fmt: skip
    rubrics = packages.constant(f"{TASKS}prometheus_eval.py", "_DEFAULT_RUBRICS")
    one_of(
        "o_prometheus", ("prometheus/absolute_without_reference", "prometheus/relative_without_reference"), graded, "harvest"
    )
    aspects = tuple(
        f"ultrafeedback/{name}"
        for name in ("overall-rating", "truthfulness", "honesty", "instruction-following", "helpfulness")
    )
    one_of("o_ultrafeedback", aspects, graded, "harvest")
    one_of("o_backtranslation_score", ("instruction-backtranslation",), graded, "harvest")
    # Without any template: what remains when a pipeline's text generation is given a data set's questions as they are.
    add("o_bare_problems", "harvest", lambda rng: lambda: chat(slots.math(rng)))
    add("o_bare_questions", "collector", lambda rng: lambda: chat(slots.asked(rng)))
    tail = ("\n\nPut your final answer within \\boxed{}.", "\nExplain your reasoning.", "")
    add(
        "o_sampled_problems",
        "harvest",
        lambda rng: (lambda end, n: lambda: chat(slots.math(rng) + end, temperature=1.0, n=n))(
            rng.choice(tail), rng.choice((2, 4))
        ),
    )
    one_of("o_quality_score", ("quality-scorer", "complexity-scorer"), graded, "harvest")
    return made


DOUBLES = frozenset(("o_ifeval", "o_judge"))
"""Honest ones that are an attack's double, beside those without worked examples (`is_double`)."""


def is_double(name: str) -> bool:
    """Whether a family says what an attack says, so that only an agreement tells them apart: measured, and not fitted on."""
    return name in DOUBLES or name.endswith("_zeroshot")


# Evaluation tasks: a file, the worked examples before a question, and what its fields hold.
_EVALUATIONS: tuple[tuple[str, str, tuple[int, ...], dict[str, str]], ...] = (
    ("o_gsm8k", "gsm8k/gsm8k.yaml", (5, 8), {"question": "math"}),
    ("o_gsm8k_zeroshot", "gsm8k/gsm8k-cot-zeroshot.yaml", (0,), {"question": "math"}),
    ("o_math", "hendrycks_math/hendrycks_math_algebra.yaml", (4,), {"problem": "math"}),
    ("o_math_zeroshot", "hendrycks_math/hendrycks_math_algebra.yaml", (0,), {"problem": "math"}),
    ("o_trivia", "triviaqa/default.yaml", (5,), {"question": "asked"}),
    ("o_trivia_zeroshot", "triviaqa/default.yaml", (0,), {"question": "asked"}),
    ("o_nq", "nq_open/nq_open.yaml", (5,), {"question": "asked"}),
    ("o_nq_zeroshot", "nq_open/nq_open.yaml", (0,), {"question": "asked"}),
    ("o_drop", "drop/default.yaml", (0, 3), {"passage": "passage", "question": "asked"}),
    ("o_ifeval", "ifeval/ifeval.yaml", (0,), {"prompt": "instruction"}),
    ("o_gpqa", "gpqa/cot_zeroshot/_gpqa_cot_zeroshot_yaml", (0,), {"Question": "asked"}),
    ("o_bbh", "bbh/cot_zeroshot/snarks.yaml", (0, 3), {"input": "examination"}),
    ("o_cnn", "cnn_dailymail/cnn_dailymail.yaml", (0,), {"article": "article"}),
    ("o_longbench", "longbench/qasper.yaml", (0,), {"context": "article", "question": "asked"}),
    ("o_longbench_news", "longbench/multi_news.yaml", (0,), {"context": "article"}),
    ("o_humaneval", "humaneval/humaneval_instruct.yaml", (0,), {"prompt": "code"}),
    ("o_mbpp", "mbpp/mbpp.yaml", (3,), {"text": "programming", "prompt": "programming"}),
    ("o_asdiv", "asdiv/asdiv-cot-llama.yaml", (8,), {"question": "math", "body": "sentence"}),
    ("o_asdiv_zeroshot", "asdiv/asdiv-cot-llama.yaml", (0,), {"question": "math", "body": "sentence"}),
)  # fmt: skip


def _evaluation(packages: Packages, slots: Slots) -> list[Family]:
    from jinja2 import Environment, meta

    def family(name: str, path: str, shots: tuple[int, ...], holds: dict[str, str]) -> Family:
        task = packages.task(path)
        source = str(task["doc_to_text"])
        if "{{" not in source:
            source = "{{" + source + "}}"
        head = task.get("description") or ""
        names = meta.find_undeclared_variables(Environment().parse(source))
        render = packages.jinja(source)

        def one(rng: random.Random) -> str:
            values: dict[str, Any] = {each: getattr(slots, holds.get(each, "sentence"))(rng) for each in sorted(names)}
            if "test_list" in names:
                values["test_list"] = [f"assert f({n}) == {rng.randint(2, 99)}" for n in range(3)]
            return render(**values)

        def tenant(rng: random.Random) -> Maker:
            before = "".join(f"{one(rng)} {slots.sentence(rng)[:120]}\n\n" for _ in range(rng.choice(shots)))
            room = rng.choice((256, 512, 1024))
            return lambda: chat(f"{head}{before}{one(rng)}", temperature=0, max_tokens=room)

        return Family(name, "", tenant)

    return [family(*each) for each in _EVALUATIONS]


# Prompts of applications: a directory or file of the framework, and what fields of other names hold.
_APPLICATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("o_answering", ("chains/question_answering/stuff_prompt.py", "chains/question_answering/refine_prompts.py", "chains/question_answering/map_reduce_prompt.py", "chains/retrieval_qa/prompt.py")),
    ("o_sources", ("chains/qa_with_sources/refine_prompts.py", "chains/qa_with_sources/map_reduce_prompt.py")),
    ("o_summaries", ("chains/summarize/stuff_prompt.py", "chains/summarize/refine_prompts.py", "chains/summarize/map_reduce_prompt.py")),
    ("o_standalone", ("chains/conversational_retrieval/prompts.py", "chains/chat_vector_db/prompts.py")),
    ("o_sql", ("chains/sql_database/prompt.py",)),
    ("o_graph", ("../langchain_community/chains/graph_qa/prompts.py",)),
    ("o_memory", ("memory/prompt.py",)),
    ("o_api", ("chains/api/prompt.py", "chains/elasticsearch_database/prompts.py")),
    ("o_agents", ("agents/json_chat/prompt.py", "agents/conversational/prompt.py", "agents/chat/prompt.py", "agents/mrkl/prompt.py", "agents/structured_chat/prompt.py")),
    ("o_react", ("agents/react/wiki_prompt.py", "agents/self_ask_with_search/prompt.py")),
    ("o_hyde", ("chains/hyde/prompts.py",)),
    ("o_filter", ("retrievers/document_compressors/chain_filter_prompt.py", "retrievers/document_compressors/chain_extract_prompt.py")),
    ("o_constitution", ("chains/constitutional_ai/prompts.py",)),
    ("o_arithmetic", ("chains/llm_math/prompt.py",)),
    ("o_router", ("chains/router/multi_retrieval_prompt.py", "chains/router/multi_prompt_prompt.py")),
    ("o_checker", ("chains/llm_checker/prompt.py",)),
    ("o_judge", ("evaluation/scoring/prompt.py", "evaluation/comparison/prompt.py", "evaluation/criteria/prompt.py", "evaluation/qa/eval_prompt.py")),
)  # fmt: skip
_HOLDS: dict[str, str] = {
    **dict.fromkeys(("question", "query", "input", "human_input", "user_input"), "user"),
    **dict.fromkeys(("context", "text", "summaries", "context_str", "page_content", "document", "prediction", "existing_answer", "answer", "result"), "passage"),
    **dict.fromkeys(("chat_history", "history", "new_lines"), "chat"),
    **dict.fromkeys(("table_info", "schema", "tools", "api_docs", "indices_info"), "functions"),
    **dict.fromkeys(("input_prompt", "output_from_model"), "passage"),
}  # fmt: skip


def _applications(packages: Packages, slots: Slots) -> list[Family]:
    def family(name: str, paths: tuple[str, ...]) -> Family:
        texts = [text for path in paths for text in packages.strings(f"langchain_classic/{path}", 80)]
        with_fields = [text for text in texts if fields(text)] or texts

        def tenant(rng: random.Random) -> Maker:
            text = rng.choice(with_fields)
            names = fields(text)
            settings = rng.choice(({}, {"temperature": 0}, {"temperature": 0.7}))
            fixed = {
                each: slots.functions(rng) if each in _HOLDS else slots.sentence(rng)[:40]
                for each in names
                if _HOLDS.get(each, "functions") == "functions"
            }

            def make() -> dict[str, Any]:
                values = {each: fixed.get(each) or getattr(slots, _HOLDS[each])(rng) for each in names}
                said = text.format(**values) if names else f"{text}\n\nQuestion: {slots.user(rng)}"
                return chat(said, **settings)

            return make

        return Family(name, "", tenant)

    found = [family(*each) for each in _APPLICATIONS]
    generate = packages.strings("langchain_classic/chains/qa_generation/prompt.py", 80)
    system, user = generate[0].replace("{{", "{").replace("}}", "}"), generate[1]

    def quiz(rng: random.Random) -> Maker:
        together = rng.random() < 0.5
        return lambda: (
            chat(generate[2].format(text=slots.passage(rng)))
            if together
            else chat(user.format(text=slots.passage(rng)), system)
        )

    return [*found, Family("o_question_pairs", "generator", quiz)]


if __name__ == "__main__":
    import sys

    for each in load(Path(sys.argv[1]), Path(sys.argv[2])):
        print(f"\n===== {each.name} ({each.profile or 'honest'})")
        print(json.dumps(each.tenant(random.Random("show"))(), ensure_ascii=False)[: int(sys.argv[3])])
