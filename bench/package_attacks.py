"""Pipelines that make training data of a model's answers, as their packages publish them: the attacking families.

Chosen by what the packages say they are for, before any was scored. What only tests an application, grades answers, or trains a
retriever on somebody's own documents is in `package_honest`, as `dual`.
"""

from __future__ import annotations

from package_shapes import Family, Shape, says
from package_templates import At


def numbered(count: int, mark: str, line: str = "Task {}: {}\n") -> str:
    return "".join(line.format(n, mark.replace("seed", f"seed{n}", 1)) for n in range(1, count + 1))


CAMEL = "camel/datagen/"
SELF = f"{CAMEL}self_instruct/templates.py"
EVOL = f"{CAMEL}evol_instruct/templates.py"
SOCIETY = "camel/prompts/ai_society.py"
ROLES = {"assistant_role": "<role.name>", "user_role": "<role2.name>"}
SDG = "instructlab/sdg/configs/"
SDG_SENDS = {"temperature": 0, "max_tokens": 4096}
KIT = "synthetic_data_kit/config.yaml"
DRIA = "dria/factory/"
NEMOTRON = "nemo_curator/stages/synthetic/nemotron_cc/prompts.py"
MIND = "nemo_curator/utils/prompts.py"
EASY = "easyinstruct/generators/"
EASY_BACK = f"{EASY}backtranslation_generator.py"
EASY_EVOL = f"{EASY}evol_instruct_generator.py"
GREEDY = {"max_tokens": 150, "temperature": 0, "top_p": 0, "frequency_penalty": 0, "presence_penalty": 0}
JUICER = "data_juicer/ops/mapper/"
OUMI = "oumi/core/synthesis/conversation_synthesizer.py"
PLANNER = "ConversationSynthesizer._create_planner_prompt"


def sdg(path: str, slots: dict[str, str], *, name: str = "") -> At | tuple:
    """A block of instructlab: five parts of a YAML file, a line each."""
    parts: list = []
    for part in ("system", "introduction", "principles", "examples", "generation"):
        mine = {key: value for key, value in slots.items() if key.startswith(f"{part}:")}
        parts += [At(f"{SDG}{path}.yaml", part, {key.partition(":")[2]: value for key, value in mine.items()}), "\n"]
    return tuple(parts[:-1])


def juicer(file: str, name: str, user: object) -> Shape:
    return says(user, At(f"{JUICER}{file}.py", f"{name}.DEFAULT_SYSTEM_PROMPT"))


ICL = {
    f"examples:icl_{kind}_{n}": f"<passage{n}!.{field}>"
    for n in (1, 2, 3)
    for kind, field in (("query", "question"), ("response", "question"))
}
QA = "【问题】\n<seed{0}.text>\n【回答】\n<seed{0}.output>\n"

ATTACKS = (
    Family("camel_self_instruct", "attack", "camel-ai", "extraction", (
        says(("Below are some tasks:\n\n", numbered(8, "<seed.instruction>"), "Task 9:",
              At(f"{CAMEL}self_instruct/self_instruct.py", "SelfInstructPipeline.generate_machine_instruction.prompt#4"))),
        says((At(SELF, "SelfInstructTemplates.clf_template"), "Task: <seed.instruction>\nIs it classification?",
              At(f"{CAMEL}self_instruct/self_instruct.py", "SelfInstructPipeline.identify_instruction.clf_prompt#1"))),
        says(At(SELF, "SelfInstructTemplates.input_first_template_for_gen", {"instruction": "<seed.instruction>"}), weight=0.7),
        says(At(SELF, "SelfInstructTemplates.output_first_template_for_clf", {"instruction": "<seed.instruction>"}), weight=0.3),
    ), "self-instruct: new tasks, are they classification, examples of each"),
    Family("camel_evol_instruct", "attack", "camel-ai", "extraction", (
        says(At(EVOL, "EvolInstructTemplates.INST_IN_DEPTH", {"prompt": "<task.text>", "method": At(EVOL, "EvolInstructTemplates.EVOL_METHODS#*")}), weight=3),
        says(At(EVOL, "EvolInstructTemplates.INST_IN_BREADTH", {"prompt": "<task.text>", "method": At(EVOL, "EvolInstructTemplates.EVOL_METHODS#*")})),
    ), "people's prompts made harder"),
    Family("camel_math_evolve", "attack", "camel-ai", "extraction", (
        says(At(EVOL, "MathEvolInstructTemplates.INST_IN_DEPTH", {"prompt": "<math.question>"})),
    ), "problems made harder"),
    Family("camel_self_improving_cot", "attack", "camel-ai", "extraction", (
        says(At(f"{CAMEL}self_improving_cot.py", "SelfImprovingCoTPipeline.REASONING_TEMPLATE", {"problem": "<math.question>", "few_shot_examples": ""})),
        says(At(f"{CAMEL}self_improving_cot.py", "SelfImprovingCoTPipeline.EVALUATION_TEMPLATE", {"problem": "<worked.question>", "solution": "", "trace": "<worked.trace>"})),
        says(At(f"{CAMEL}self_improving_cot.py", "SelfImprovingCoTPipeline.IMPROVEMENT_TEMPLATE", {"problem": "<worked.question>", "solution": "", "trace": "<worked.trace>", "feedback": "The steps are not all explained."}), weight=0.5),
    ), "reasoning traces, graded and improved"),
    Family("camel_cot_datagen", "attack", "camel-ai", "extraction", (
        says(At(f"{CAMEL}cot_datagen.py", "CoTDataGenerator.get_answer.prompt", {"question": "<math.question>", "context": ""})),
    ), "long answers to problems"),
    Family("camel_multi_hop", "attack", "camel-ai", "extraction", (
        says('{"main_context":"<passage.text>","related_contexts":null}', At("camel/agents/multi_hop_generator_agent.py", "MultiHopGeneratorAgent.__init__.system_text")),
    ), "source2synth: questions with reasoning out of passages"),
    Family("camel_ai_society", "attack", "camel-ai", "extraction", (
        says(At(SOCIETY, "AISocietyPromptTemplateDict.GENERATE_TASKS", {"num_tasks": "10", **ROLES})),
        says(At(SOCIETY, "AISocietyPromptTemplateDict.TASK_SPECIFY_PROMPT", {"task": "<seed.instruction>", "word_limit": "50", **ROLES}), weight=2),
        says("Now start to give me instructions one by one. Only reply with Instruction and Input.",
             At(SOCIETY, "AISocietyPromptTemplateDict.USER_PROMPT", {"task": "<seed.instruction>", **ROLES}), weight=2),
        says("Instruction: <seed.instruction>\nInput: None",
             At(SOCIETY, "AISocietyPromptTemplateDict.ASSISTANT_PROMPT", {"task": "<seed.instruction>", **ROLES}), weight=4),
    ), "role playing: the data of CAMEL; one turn of each conversation"),
    Family("instructlab_skills", "attack", "instructlab-sdg", "extraction", (
        says(sdg("skills/freeform_questions", {"introduction:num_samples": "30", "introduction:task_description": "<seed2!.instruction>", "examples:seed_question": "<seed!.text>", "generation:num_samples": "30"}), **SDG_SENDS),
        says(sdg("skills/evaluate_freeform_questions", {"principles:task_description": "<seed2!.instruction>", "generation:task_description": "<seed2!.instruction>", "generation:question": "<task.text>"}), weight=30, **SDG_SENDS),
        says(sdg("skills/freeform_responses", {"examples:seed_question": "<seed!.text>", "examples:seed_response": "<seed!.output>", "generation:question": "<task.text>"}), weight=25, **SDG_SENDS),
        says(sdg("skills/evaluate_freeform_pair", {"generation:question": "<seed3.text>", "generation:response": "<seed3.output>"}), weight=25, **SDG_SENDS),
    ), "questions of a skill, filtered, answered, graded: the full pipeline's own proportions"),
    Family("instructlab_knowledge", "attack", "instructlab-sdg", "extraction", (
        says(sdg("knowledge/generate_questions_responses", {"introduction:domain": "<topic!.name>", "examples:icl_document": "<passage1!.text>", **ICL, "generation:document_outline": "<doc.title>", "generation:document": "<doc.text>"}), **SDG_SENDS),
        says(sdg("knowledge/evaluate_question", {"generation:question": "<passage.question>"}), weight=3, **SDG_SENDS),
    ), "a textbook's questions with answers; filtered"),
    Family("synthetic_data_kit_qa", "attack", "synthetic-data-kit", "extraction", (
        says(At(KIT, "prompts.qa_generation", {"text": "<doc.text>"}), temperature=0.7),
        says("<article.text>", At(KIT, "prompts.summary"), weight=0.2, temperature=0.1),
    ), "pairs of question and answer out of documents; the package sends the first as a system prompt alone"),
    Family("synthetic_data_kit_cot", "attack", "synthetic-data-kit", "extraction", (
        says(At(KIT, "prompts.cot_generation", {"text": "<doc.text>"}), temperature=0.7, max_tokens=4096),
    ), "questions with chains of thought out of documents"),
    Family("promptwright", "attack", "promptwright", "extraction", (
        says(At("promptwright/prompts.py", "SAMPLE_GENERATION_PROMPT", {"system_prompt": "<role!.text>", "instructions": "", "examples": "", "subtopics": "Lastly, the topic of the training data should be related to the following subtopics: <topic.name> -> <topic2.name>"}), weight=5, temperature=0.2),
        says(At("promptwright/prompts.py", "TREE_GENERATION_PROMPT", {"system_prompt": "<role!.text>", "subtopics_list": '"<topic.name>" -> "<topic2.name>"', "num_subtopics": "5"}), temperature=0.2),
    ), "a tree of topics, and a training sample for each leaf"),
    Family("deepfabric_conversations", "attack", "deepfabric", "extraction", (
        says(At("deepfabric/prompts.py", "CONVERSATION_GENERATION_PROMPT", {"system_prompt": "<role!.text>", "instructions": "", "examples": "", "subtopics": "The topic: <topic.name> -> <topic2.name>"}), weight=5, temperature=0.2),
        says(At("deepfabric/prompts.py", "GRAPH_EXPANSION_PROMPT_NO_CONNECTIONS", {"current_topic": "<topic.name>", "num_subtopics": "5"}), temperature=0.7),
    ), "training conversations along a graph of topics"),
    Family("deepfabric_reasoning", "attack", "deepfabric", "extraction", (
        says((At("deepfabric/prompts.py", "FREETEXT_COT_PROMPT", {"instructions": "", "examples": "", "subtopics": "The topic: <topic.name> -> <topic2.name>"}),
              "\n", At("deepfabric/builders.py", "SingleShotBuilder._build_prompt#6"),
              "\n", At("deepfabric/builders.py", "SingleShotBuilder._build_prompt#9")), "<role!.text>", temperature=0.2),
    ), "problems with free reasoning"),
    Family("dria_self_instruct", "attack", "dria", "extraction", (
        says(At(f"{DRIA}workflows/self_instruct/prompt.md", "", {"num_instructions": "10", "criteria_for_query_generation": "Clear, diverse and answerable.", "application_description": "<role!.text>", "context": "<doc.text>"})),
    ), "queries to an application, out of documents"),
    Family("dria_reasoning", "attack", "dria", "extraction", (
        says(At(f"{DRIA}workflows/reasoning/prompt.md", "", {"prompt": "<task.text>"}), max_tokens=1500),
    ), "reasoning about people's prompts"),
    Family("dria_magpie", "attack", "dria", "extraction", (
        says(At(f"{DRIA}workflows/magpie_instruct/instruction.md", "", {"instructor_persona": "a <role.name>", "responding_persona": "a <role2.name>", "chat": ""})),
        says(At(f"{DRIA}workflows/magpie_instruct/response.md", "", {"instructor_persona": "a <role.name>", "responding_persona": "a <role2.name>", "chat": "a <role.name>: <seed.text>"})),
    ), "conversations of personas, turn by turn"),
    Family("dria_evol_quality", "attack", "dria", "extraction", (
        says(At(f"{DRIA}workflows/evol_quality/rewrite.md", "", {"method": At(f"{DRIA}workflows/evol_quality/task.py", "MUTATION_TEMPLATES#*"), "prompt": "<seed.text>", "response": "<seed.output>"})),
    ), "answers made better"),
    Family("dria_persona_qa", "attack", "dria", "extraction", (
        says(At(f"{DRIA}question_answer/questions/prompt.md", "", {"persona": "<role.text>", "context": "<passage.text>", "history": ""})),
        says(At(f"{DRIA}question_answer/answer/prompt.md", "", {"persona": "<role.text>", "context": "<passage.text>", "question": "<passage.question>"})),
    ), "questions and answers of personas out of documents"),
    Family("nemotron_cc", "attack", "nemo-curator", "extraction", tuple(
        says(At(NEMOTRON, f"{name}_PROMPT_TEMPLATE", {"document": "<doc.text>"}))
        for name in ("WIKIPEDIA_REPHRASING", "DIVERSE_QA", "DISTILL", "EXTRACT_KNOWLEDGE", "KNOWLEDGE_LIST")
    ), "web text rewritten for pretraining"),
    Family("nemo_mind_dialogues", "attack", "nemo-curator", "extraction", tuple(
        says(At(MIND, f"mind_{name}", {"text": "<doc.text>"}))
        for name in ("two_profs", "teacher_student", "two_students", "interview", "problem_solving", "layman_knowall", "debate")
    ), "text turned into dialogues for pretraining"),
    Family("easyinstruct_self_instruct", "attack", "easyinstruct", "extraction", (
        says(("Come up with a series of tasks:\n", numbered(8, "<seed.instruction>", "{}. {}\n"), "9."), max_tokens=1024, temperature=0.7, top_p=0.5, frequency_penalty=0, presence_penalty=2),
        says((At(f"{EASY}self_instruct_generator.py", "generate_instances_prompt_template"), " <seed.instruction>\n"), weight=4, max_tokens=350, temperature=0, top_p=0, frequency_penalty=0, presence_penalty=1.5),
    ), "self-instruct, another hand"),
    Family("easyinstruct_evol", "attack", "easyinstruct", "extraction", (
        says((At(EASY_EVOL, "base_breadth_instruction"), "#Given Prompt#: \r\n <seed.text> \r\n#Created Prompt#:\r\n"), max_tokens=2048, temperature=1),
        *(says((At(EASY_EVOL, "base_depth_instruction", {"": At(EASY_EVOL, f"EvolInstructGenerator.create{name}Prompt.prompt#0")}), "#The Given Prompt#: \r\n <seed.text> \r\n#Rewritten Prompt#:\r\n"), max_tokens=2048, temperature=1)
          for name in ("Constraints", "Deepen", "Concretizing", "Reasoning")),
        says("<seed.text>", weight=5, max_tokens=2048, temperature=1),
    ), "WizardLM's five, and then the answers to what came out"),
    Family("easyinstruct_backtranslation", "attack", "easyinstruct", "extraction", (
        says((At(EASY_BACK, "self_augmentation_prompt_template"), " <doc.text>"), **GREEDY),
        says((At(EASY_BACK, "self_curation_prompt_template"), "\n\nInstruction: <seed.text>\n\n Response:<seed.output>"), **GREEDY),
    ), "instructions guessed from texts, graded"),
    Family("data_juicer_qa", "attack", "py-data-juicer", "extraction", (
        juicer("generate_qa_from_examples_mapper", "GenerateQAFromExamplesMapper", tuple("\n如下是一条示例数据：\n" + QA.format(n) for n in (1, 2, 3))),
        juicer("optimize_qa_mapper", "OptimizeQAMapper", "以下是原始问答对：\n" + QA.format(1)),
        juicer("optimize_query_mapper", "OptimizeQueryMapper", "以下是原始问答对：\n" + QA.format(1)),
    ), "pairs out of three examples, and made better; in Chinese"),
    Family("curator_raft", "attack", "bespokelabs-curator", "extraction", (
        says("<passage.text>", At("bespokelabs/curator/blocks/raft.py", "_DEFAULT_QUESTION_PROMPT", {"%s": "5"})),
        says(At("bespokelabs/curator/blocks/raft.py", "_DEFAULT_ANSWER_PROMPT", {"question": "<passage.question>", "context": "<passage.text>"}), weight=5),
    ), "RAFT: questions out of passages, answers with reasoning"),
    Family("oumi_conversations", "attack", "oumi", "extraction", (
        Shape((
            ("system", At(OUMI, f"{PLANNER}.system_prompt")),
            ("user", At(OUMI, f"{PLANNER}.example_request")), ("assistant", At(OUMI, f"{PLANNER}.example_response")),
            ("user", (At(OUMI, f"{PLANNER}.base_prompt#0", {"target_turns": "4", "turn_order_str": "Turn 1: USER, Turn 2: ASSISTANT, Turn 3: USER, Turn 4: ASSISTANT"}), "\nRole context:\n[USER]\nYou are a customer. <utterance.text>\n\n[ASSISTANT]\nYou are a <role!.name>.\n")),
        )),
        says("You are generating turn 1 of 4 as the USER.\n\nFor this turn: <utterance.text>\n\nGenerate ONLY your response for this turn. Stay in character.", "You are a customer who writes to a <role!.name>.", weight=2),
        Shape((("system", "You are a <role!.name>."), ("user", "<utterance.text>"), ("user", "You are generating turn 2 of 4 as the ASSISTANT.\n\nGenerate ONLY your response for this turn. Stay in character.")), {}, 2),
    ), "conversations planned, then written turn by turn"),
)  # fmt: skip
