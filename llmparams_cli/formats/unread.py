"""Programs whose files are told by their names, but not read: to say so is better than a guess."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from llmparams_cli.formats.common import Signature, words
from llmparams_cli.presets.document import KEYS, PRESETS


@dataclass(frozen=True, kw_only=True)
class Foreign(Signature):
    """A program's files that are not read here; `what` they are, with its article."""

    what: str

    def knows(self, given: Collection[str]) -> int:
        return 0 if self.marks.isdisjoint(given) else super().knows(given)


OWN = Signature(
    program="llmparams",
    syntax="yaml",
    keys=frozenset({*KEYS, PRESETS}),
    marks=frozenset({"parameters", "extends", "variables", "tests", PRESETS}),
)
# Its samplers have an order, forms and penalties of their own, with no counterpart here.
NOVELAI = Foreign(
    program="NovelAI",
    what="a preset",
    syntax="json",
    keys=words("""id name order temperature max_length min_length max_context top_k top_p top_a
        min_p typical_p tail_free_sampling repetition_penalty repetition_penalty_range use_cache
        return_full_text prefix cfg_uc mirostat_tau settings parameters"""),
    marks=words("""presetVersion textGenerationSettingsVersion remoteId tail_free_sampling
        repetition_penalty_slope repetition_penalty_frequency repetition_penalty_presence
        repetition_penalty_default_whitelist phrase_rep_pen mirostat_lr cfg_scale math1_temp
        math1_quad math1_quad_entropy_scale top_g scenarioVersion"""),
)
OTHERS = (
    Foreign(
        program="Google's Gemini API",
        what="a request",
        syntax="json",
        keys=frozenset({"model", "tools", "toolConfig", "cachedContent"}),
        marks=words("""contents generationConfig generation_config systemInstruction
            system_instruction safetySettings safety_settings"""),
    ),
    Foreign(
        program="Cohere's API",
        what="a request",
        syntax="json",
        keys=words("""model message messages temperature max_tokens stop_sequences seed stream
            frequency_penalty presence_penalty documents tools"""),
        marks=frozenset({"preamble", "chat_history", "p", "k", "connectors", "citation_quality"}),
    ),
    Foreign(
        program="text-generation-inference",
        what="a request",
        syntax="json",
        keys=frozenset({"inputs", "parameters", "stream", "options"}),
        marks=frozenset({"inputs"}),
    ),
    Foreign(
        program="SillyTavern",
        what="a chat completion preset",
        syntax="json",
        keys=words("""temperature frequency_penalty presence_penalty top_p top_k top_a min_p
            repetition_penalty seed n prompts wi_format names_behavior send_if_empty"""),
        marks=words("""chat_completion_source openai_model openai_max_context openai_max_tokens
            prompt_order impersonation_prompt new_chat_prompt new_example_chat_prompt
            jailbreak_system stream_openai assistant_prefill claude_use_sysprompt
            squash_system_messages continue_nudge_prompt group_nudge_prompt"""),
    ),
    Foreign(
        program="SillyTavern",
        what="a template",
        syntax="json",
        keys=words("""name wrap macro names_behavior stop_sequence single_line trim_sentences
            use_stop_strings content post_history"""),
        marks=words("""story_string example_separator chat_start always_force_name2 input_sequence
            output_sequence system_sequence last_output_sequence activation_regex
            separator_sequence first_output_sequence skip_examples input_suffix output_suffix
            system_suffix user_alignment_message system_same_as_user last_system_sequence
            system_sequence_prefix system_sequence_suffix allow_jailbreak"""),
    ),
    Foreign(
        program="aichat",
        what="the configuration",
        syntax="yaml",
        keys=words("model temperature top_p stream save theme highlight wrap"),
        marks=words("""clients keybindings save_session compress_threshold rag_embedding_model
            function_calling use_tools mapping_tools prelude repl_prelude"""),
    ),
    Foreign(
        program="Prompty",
        what="a prompt",
        syntax="markdown",
        keys=frozenset({"name", "description", "version", "authors", "tags", "model", "sample"}),
        marks=frozenset({"inputs", "template", "outputs"}),
    ),
    Foreign(
        program="Dotprompt",
        what="a prompt",
        syntax="markdown",
        keys=frozenset({"name", "variant", "model", "tools", "metadata"}),
        marks=frozenset({"config", "input", "output"}),
    ),
)
UNREAD: tuple[Signature, ...] = (OWN, NOVELAI, *OTHERS)
