"""Applications, agents and evaluations, as their packages publish them: the honest families; and those that are `dual`.

Dual is what an honest customer and an extraction both do: test sets for one's own application, answers graded by a model, data
that trains a retriever on one's own documents, text sorted before a training. Neither rate counts it.
"""

from __future__ import annotations

from package_shapes import Family, Shape, says
from package_templates import At

LLAMA = "llama_index/core/"
DEFAULTS = f"{LLAMA}prompts/default_prompts.py"
CHAT = f"{LLAMA}prompts/chat_prompts.py"
LLAMA_SENDS = {"temperature": 0.1}
AIDER = "aider/coders/editblock_prompts.py"
FENCES = {"fence[0]": "```", "fence[1]": "```"}
META = "metagpt/actions/"
GRAPH = "graphrag/prompts/"
LIGHT = "lightrag/prompt.py"
PAPER = "paperqa/prompts.py"
RESEARCH = "gpt_researcher/prompts.py"
STORM = "knowledge_storm/storm_wiki/modules/knowledge_curation.py"
INSPECT = "inspect_evals/"
MEM0 = "mem0/configs/prompts.py"
MAGENTIC = "autogen_agentchat/teams/_group_chat/_magentic_one/_prompts.py"
CREW = "crewai/translations/en.json"
TUNING = "llama_index/finetuning/"
SYNTH = "deepeval/synthesizer/templates/template.py"
RAGAS = "ragas/testset/synthesizers/"
TYPES = "organization,person,geo,event"


def persona(name: str) -> Shape:
    return says("<utterance.text>", At(f"{LLAMA}prompts/system.py", name))


HONEST = (
    Family("llama_rag", "benign", "llama-index-core", "retrieval", (
        says(At(DEFAULTS, "DEFAULT_TEXT_QA_PROMPT_TMPL", {"context_str": "<passage.text>", "query_str": "<passage.question>"}), At(CHAT, "TEXT_QA_SYSTEM_PROMPT"), **LLAMA_SENDS),
        says(At(DEFAULTS, "DEFAULT_REFINE_PROMPT_TMPL", {"context_msg": "<passage2.text>", "query_str": "<passage.question>", "existing_answer": "<doc.title>"}), weight=0.5, **LLAMA_SENDS),
    )),
    Family("llama_summaries", "benign", "llama-index-core", "summaries", (says(At(DEFAULTS, "DEFAULT_SUMMARY_PROMPT_TMPL", {"context_str": "<doc.text>"}), **LLAMA_SENDS),)),
    Family("llama_metadata", "benign", "llama-index-core", "classification", (
        says(At(f"{LLAMA}extractors/metadata_extractors.py", "DEFAULT_TITLE_NODE_TEMPLATE", {"context_str": "<doc.text>"}), **LLAMA_SENDS),
        says(At(f"{LLAMA}extractors/metadata_extractors.py", "DEFAULT_KEYWORD_EXTRACT_TEMPLATE", {"context_str": "<doc.text>", "keywords": "5"}), **LLAMA_SENDS),
    ), "titles and keywords of chunks, for an index"),
    Family("llama_triplets", "benign", "llama-index-core", "classification", (says(At(DEFAULTS, "DEFAULT_KG_TRIPLET_EXTRACT_TMPL", {"max_knowledge_triplets": "10", "text": "<doc.text>"}), **LLAMA_SENDS),)),
    Family("llama_chat", "benign", "llama-index-core", "support", (
        says(At(f"{LLAMA}chat_engine/condense_question.py", "DEFAULT_TEMPLATE", {"chat_history": "<chat.text>", "question": "<chat.last>"}), **LLAMA_SENDS),
        says("<chat.last>", At(f"{LLAMA}chat_engine/condense_plus_context.py", "DEFAULT_CONTEXT_PROMPT_TEMPLATE", {"context_str": "<doc.text>"}), **LLAMA_SENDS),
    ), "chat over documents: the question alone, then the answer"),
    Family("llama_assistants", "benign", "llama-index-core", "support", (persona("IRS_TAX_CHATBOT"), persona("HIKING_RECOMMENDATION_CHATBOT")), "personas that the package offers, asked by people"),
    Family("haystack_queries", "benign", "haystack-ai", "retrieval", (
        says(At("haystack/components/query/query_expander.py", "DEFAULT_PROMPT_TEMPLATE", {"n_expansions": "4", "query": "<passage.question>"}), temperature=0.7, response_format={"type": "json_object"}),
    ), "queries said in other words, for search"),
    Family("crewai_agents", "benign", "crewai", "tools", (
        says((At(CREW, "slices.task_no_tools", {"input": "<task.text>"}), At(CREW, "slices.expected_output", {"expected_output": "A complete answer."})),
             At(CREW, "slices.role_playing", {"role": "<role!.name>", "backstory": "<role!.text>", "goal": "to do each task well"})),
        says(At(CREW, "slices.native_task", {"input": "<tool.text>"}),
             (At(CREW, "slices.role_playing", {"role": "<role!.name>", "backstory": "<role!.text>", "goal": "to do each task well"}), At(CREW, "slices.tools", {"tools": "<tool.tools>", "tool_names": "any of them"})), stop=["\nObservation:"]),
    )),
    Family("autogen_orchestrator", "benign", "autogen-agentchat", "tools", (
        says(At(MAGENTIC, "ORCHESTRATOR_TASK_LEDGER_FACTS_PROMPT", {"task": "<search.question>"})),
        Shape((("user", At(MAGENTIC, "ORCHESTRATOR_TASK_LEDGER_FACTS_PROMPT", {"task": "<search.question>"})), ("assistant", "1. GIVEN OR VERIFIED FACTS\n- none\n2. FACTS TO LOOK UP\n- <search.question>"),
               ("user", At(MAGENTIC, "ORCHESTRATOR_TASK_LEDGER_PLAN_PROMPT", {"team": "WebSurfer: reads the web.\nCoder: writes programs."})))),
    )),
    Family("aider_edits", "benign", "aider-chat", "code", (
        Shape((("system", (At(AIDER, "EditBlockPrompts.main_system", {"final_reminders": "", "shell_cmd_prompt": ""}), At(AIDER, "EditBlockPrompts.system_reminder", {**FENCES, "quad_backtick_reminder": "", "rename_with_shell": "", "go_ahead_tip": "", "final_reminders": "", "shell_cmd_reminder": ""}))),
               ("user", (At("aider/coders/base_prompts.py", "CoderPrompts.files_content_prefix"), "\n\n<code.path>\n```\n<code.text>\n```")), ("assistant", At("aider/coders/base_prompts.py", "CoderPrompts.files_content_assistant_reply")),
               ("user", "<issue.title>\n\n<issue.text>")), {"temperature": 0}),
    ), "somebody's issues and somebody else's files: real, but not of each other"),
    Family("aider_commits", "benign", "aider-chat", "code", (says("# Diffs:\ndiff --git a/<code.path> b/<code.path>\n<code.added>", At("aider/prompts.py", "commit_system", {"language_instruction": ""}), temperature=0),)),
    Family("metagpt_code", "benign", "metagpt", "code", (
        says("```python\n<code.text>\n```", At(f"{META}write_docstring.py", "PYTHON_DOCSTRING_SYSTEM", {"style": "google", "example": At(f"{META}write_docstring.py", "PYTHON_DOCSTRING_EXAMPLE_GOOGLE")}), temperature=0),
        says((At(f"{META}write_code_review.py", "PROMPT_TEMPLATE", {"context": "<issue.title>", "filename": "<code.path>", "code": "<code.text>"}), At(f"{META}write_code_review.py", "EXAMPLE_AND_INSTRUCTION", {"format_example": "", "filename": "<code.path>"})), temperature=0),
    ), "docstrings and reviews"),
    Family("metagpt_research", "benign", "metagpt", "retrieval", (
        says(At(f"{META}research.py", "WEB_BROWSE_AND_SUMMARIZE_PROMPT", {"query": "<passage.question>", "content": "<passage.text>"}), At(f"{META}research.py", "RESEARCH_BASE_SYSTEM"), weight=4, temperature=0),
        says(At(f"{META}research.py", "CONDUCT_RESEARCH_PROMPT", {"topic": "<search.question>", "content": "<article.text>"}), At(f"{META}research.py", "RESEARCH_BASE_SYSTEM"), temperature=0),
    )),
    Family("graphrag_index", "benign", "graphrag", "classification", (
        says(At(f"{GRAPH}index/extract_graph.py", "GRAPH_EXTRACTION_PROMPT", {"entity_types": TYPES, "input_text": "<doc.text>"}), weight=2),
        says(At(f"{GRAPH}index/summarize_descriptions.py", "SUMMARIZE_PROMPT", {"entity_name": "<topic.name>", "description_list": '["<doc.text>"]', "max_length": "500"})),
    ), "entities and relations of chunks, and their descriptions"),
    Family("graphrag_search", "benign", "graphrag", "retrieval", (says("<passage.question>", At(f"{GRAPH}query/local_search_system_prompt.py", "LOCAL_SEARCH_SYSTEM_PROMPT", {"context_data": "<passage.text>", "response_type": "multiple paragraphs"})),)),
    Family("lightrag", "benign", "lightrag-hku", "retrieval", (
        says(At(LIGHT, "PROMPTS['keywords_extraction']", {"query": "<passage.question>", "examples": "", "language": "English"})),
        says("<passage.question>", At(LIGHT, "PROMPTS['naive_rag_response']", {"response_type": "Multiple Paragraphs", "user_prompt": "n/a", "content_data": "<passage.text>"})),
    ), "keywords of a question, and its answer"),
    Family("mem0_memories", "benign", "mem0ai", "support", (says("Input:\n<chat.text>\nuser: <chat.last>", At(MEM0, "USER_MEMORY_EXTRACTION_PROMPT", {"datetime.now().strftime('%Y-%m-%d')": "2026-11-25"}), temperature=0.1, max_tokens=2000, top_p=0.1, response_format={"type": "json_object"}),)),
    Family("browser_use", "benign", "browser-use", "tools", (says("<user_request>\n<browse.task>\n</user_request>\n\n<agent_history>\n</agent_history>\n\n<agent_state>\n</agent_state>\n<browser_state>\nCurrent tab: <browse.site>.com\n[1]<browse.element>\n[2]<browse2.element>\n[3]<browse3.element>\n</browser_state>", At("browser_use/agent/system_prompts/system_prompt.md", "", {"max_actions": "10"}, ("step_number",))),)),
    Family("paper_qa", "benign", "paper-qa", "retrieval", (
        says(At(PAPER, "summary_json_prompt", {"citation": "<topic.name>", "text": "<passage.text>", "question": "<passage.question>"}), At(PAPER, "summary_json_system_prompt", {"summary_length": "about 100 words"}), weight=5, temperature=0),
        says(At(PAPER, "qa_prompt", {"context": "<passage.text>", "question": "<passage.question>", "CANNOT_ANSWER_PHRASE": "I cannot answer", "example_citation": "(pqac-0f650d59)", "CITATION_KEY_CONSTRAINTS": At(PAPER, "CITATION_KEY_CONSTRAINTS"), "prior_answer_prompt": "", "answer_length": "about 200 words"}), At(PAPER, "default_system_prompt"), temperature=0),
    )),
    Family("gpt_researcher", "benign", "gpt-researcher", "retrieval", (
        says(At(RESEARCH, "PromptFamily.generate_search_queries_prompt#1", {"max_iterations": "3", "task": "<search.question>", "datetime.now(timezone.utc).strftime('%B %d, %Y')": "November 25, 2026", "context_prompt": "", "dynamic_example": '"query 1", "query 2", "query 3"'}), temperature=0.4),
        says(At(RESEARCH, "PromptFamily.generate_quick_summary_prompt", {"query": "<search.question>", "context": "<article.text>"}), temperature=0.4),
    ), "queries for a question, and what was found summed up"),
    Family("storm_interviews", "benign", "knowledge-storm", "retrieval", (
        says((At(STORM, "AskQuestion.__doc__"), "\n\n---\n\nTopic you want to write: <topic.name>\nConversation history:\n<chat.text>\nQuestion:"), temperature=1.0, max_tokens=500, top_p=0.9),
        says((At(STORM, "QuestionToQuery.__doc__"), "\n\n---\n\nTopic you are discussing about: <topic.name>\nQuestion you want to answer: <passage.question>\nQueries:"), temperature=1.0, max_tokens=500, top_p=0.9),
        says((At(STORM, "AnswerQuestion.__doc__"), "\n\n---\n\nTopic you are discussing about:<topic.name>\nQuestion:\n<passage.question>\nGathered information:\n[1] <passage.text>"), temperature=1.0, max_tokens=500, top_p=0.9),
    ), "a writer asks, an expert answers out of what was found"),
    Family("guardrails_moderation", "benign", "nemoguardrails", "classification", (
        says(At("nemoguardrails/examples/bots/abc/prompts.yml", "prompts.0.content", {"user_input": "<chat.last>"}), temperature=0, max_tokens=3),
        says(At("nemoguardrails/examples/bots/abc/prompts.yml", "prompts.1.content", {"bot_response": "<chat.answer>"}), temperature=0, max_tokens=3),
    ), "may this be said, yes or no"),
    Family("camel_translation", "benign", "camel-ai", "translation", (says("<sentence.text>", At("camel/prompts/translation.py", "TranslationPromptTemplateDict.ASSISTANT_PROMPT", {"language": "Spanish"})),)),
    Family("easyinstruct_entities", "benign", "easyinstruct", "classification", (says("<doc.text>", At("easyinstruct/prompts/ie_prompt.py", "NER_EN_LABELS", {"0": "person, organization, location, date"}), temperature=0),)),
    Family("inspect_gsm8k", "benign", "inspect-evals", "evaluation", (says(At(f"{INSPECT}gsm8k/gsm8k.py", "MATH_PROMPT_TEMPLATE", {"prompt": "<math.question>"}, ("$ANSWER", "boxed")),),)),
    Family("inspect_mmlu_pro", "benign", "inspect-evals", "evaluation", (says(At(f"{INSPECT}mmlu_pro/mmlu_pro.py", "USER_PROMPT_TEMPLATE", {"letters": "A,B,C,D", "question": "<exam.question>", "choices": "<exam.choices>"})),)),
    Family("inspect_boolq", "benign", "inspect-evals", "evaluation", (says(At(f"{INSPECT}boolq/boolq.py", "TEMPLATE", {"passage": "<passage.text>", "question": "<passage.question>"})),)),
    Family("inspect_squad", "benign", "inspect-evals", "evaluation", (says("Context: <passage.text>\n\nQuestion: <passage.question>", At(f"{INSPECT}squad/squad.py", "SYSTEM_MESSAGE")),)),
)  # fmt: skip

DUAL = (
    Family("ragas_testset", "dual", "ragas", "test sets", (
        says((At(f"{RAGAS}single_hop/prompts.py", "QueryAnswerGenerationPrompt.instruction"), '\n\nNow perform the same with the following input\ninput: {"persona": {"name": "<role!.name>"}, "term": "<doc.title>", "query_style": "PERFECT_GRAMMAR", "query_length": "medium", "context": "<doc.text>"}\nOutput: '), temperature=0.01, n=1),
        says((At(f"{RAGAS}multi_hop/prompts.py", "QueryAnswerGenerationPrompt.instruction"), '\n\nNow perform the same with the following input\ninput: {"persona": {"name": "<role!.name>"}, "themes": ["<doc.title>"], "query_style": "WEB_SEARCH_LIKE", "query_length": "short", "context": ["<1-hop> <doc.text>", "<2-hop> <doc2.text>"]}\nOutput: '), temperature=0.01, n=1),
    ), "questions and answers to test one's own retrieval with"),
    Family("deepeval_goldens", "dual", "deepeval", "test sets", (
        says(At(SYNTH, "SynthesizerTemplate.generate_synthetic_inputs", {"max_goldens_per_context": "2", "input_format_section": "", "scenario_section": "", "task_section": "", "source_files_section": "", "context": '["<doc.text>"]'})),
        says(At(SYNTH, "EvolutionTemplate.reasoning_evolution", {"context": '["<passage.text>"]', "input": "<passage.question>"}), weight=2),
    ), "inputs out of one's documents, and made harder"),
    Family("llama_testset", "dual", "llama-index-core", "test sets", (says((At(f"{LLAMA}evaluation/dataset_generation.py", "DEFAULT_QUESTION_GENERATION_PROMPT", {"context_str": "<doc.text>", "query_str": At(f"{LLAMA}evaluation/dataset_generation.py", "DatasetGenerator.__init__.self.question_gen_query", {"num_questions_per_chunk": "10"})}),), **LLAMA_SENDS),)),
    Family("llama_finetuning", "dual", "llama-index-finetuning", "retrievers", (
        says(At(f"{TUNING}embeddings/common.py", "DEFAULT_QA_GENERATE_PROMPT_TMPL", {"context_str": "<doc.text>", "num_questions_per_chunk": "2"}), **LLAMA_SENDS),
        says(At(f"{TUNING}cross_encoders/dataset_gen.py", "DEFAULT_QUERY_GEN_USER_PROMPT", {"num_questions_per_chunk": "5", "context": "<doc.text>"}), At(f"{TUNING}cross_encoders/dataset_gen.py", "DEFAULT_QUERY_GEN_SYSTEM_PROMPT", {"qa_topic": "everything", "num_questions_per_chunk": "5"}), temperature=0.3),
    ), "questions that train a retriever on one's own documents"),
    Family("llama_judge", "dual", "llama-index-core", "judges", (says(At(f"{LLAMA}evaluation/correctness.py", "DEFAULT_USER_TEMPLATE", {"query": "<seed.text>", "reference_answer": "<seed.output>", "generated_answer": "<seed2.output>"}), At(f"{LLAMA}evaluation/correctness.py", "DEFAULT_SYSTEM_TEMPLATE"), **LLAMA_SENDS),)),
    Family("prometheus_judge", "dual", "prometheus-eval", "judges", (says(At("prometheus_eval/prompts.py", "ABSOLUTE_PROMPT_WO_REF", {"instruction": "<seed.text>", "response": "<seed2.output>", "rubric": At("prometheus_eval/prompts.py", "HELPFULNESS_RUBRIC")}), At("prometheus_eval/prompts.py", "ABS_SYSTEM_PROMPT"), temperature=1.0, top_p=0.9, max_tokens=1024),)),
    Family("data_juicer_quality", "dual", "py-data-juicer", "curation", (says("# Data\n'''\n<doc.text>\n'''\n\n# Response\njson\n", At("data_juicer/ops/filter/llm_quality_score_filter.py", "LLMQualityScoreFilter.DEFAULT_SYSTEM_PROMPT")),)),
    Family("nemo_code_quality", "dual", "nemo-curator", "curation", (says(At("nemo_curator/utils/prompts.py", "CODE_QUALITY_PROMPT", {"text": "<code.text>"})),)),
)  # fmt: skip
