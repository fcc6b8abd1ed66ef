"""The parameters: one row each, in the order in which users see them. Data only.

Options, preset checks, JSON Schema, `llmparams params` and docs/parameters.md all come
from these rows. Defaults are those of llama.cpp's own programs unless a row says
otherwise; bounds exclude what llama.cpp would ignore, misread or abort on, and obvious
typing errors.
"""

from __future__ import annotations

from llmparams_cli.params.kinds import (
    INT32_MAX,
    Arguments,
    Biases,
    Choice,
    Choices,
    Floats,
    Grammar,
    JsonSchema,
    Model,
    Number,
    Regex,
    Switch,
    Template,
    Texts,
    Words,
)
from llmparams_cli.params.seeds import MAX_SEED
from llmparams_cli.params.spec import Elsewhere, Group, Param, Scope

# llama.cpp's default order. Mirostat and adaptive-p are no stages: they draw the token.
SAMPLER_STAGES = (
    "logit_bias",
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)

CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")

MAX_THREADS = 512  # ggml aborts above
MOST_DRAFTED = 62  # tokens; with the one before them, a call of 64 would use other kernels

# What each heading of the taxonomy stands for.
GROUPS = {
    Group.ARCHITECTURE: "How the network is built: number of layers, hidden dimensions. Fixed "
    "when the model is made, and written in its file. More layers can express more; too many "
    "overfit and waste, too few miss patterns.",
    Group.TRAINING: "How the weights and biases were learned: learning rate, batch size. The "
    "learning rate is the step size of gradient descent: high is fast and may overshoot the "
    "minimum, low is precise and may stall.",
    Group.INFERENCE: "How the next token is chosen from the model's probabilities.",
    Group.MEMORY: "How much may be read and written, when to stop, and what the machine spends "
    "on it.",
    Group.QUALITY: "What the output is kept from, such as repeating itself or leaving a format.",
}

PROBABILITY = Number(low=0, high=1)
COUNT = Number(integer=True, low=0, high=INT32_MAX)
AT_LEAST_ONE = Number(integer=True, low=1, high=INT32_MAX)
DRAFT = Number(integer=True, low=0, high=MOST_DRAFTED)
WINDOW = Number(integer=True, low=0, high=INT32_MAX, special=(-1,))
THREADS = Number(integer=True, low=0, high=MAX_THREADS)
# llama.cpp has no limits here; beyond these, nothing but the penalty decides.
PENALTY = Number(low=-10, high=10)

_ROWS = (
    Param(
        name="temperature",
        kind=Number(low=0, high=10, zero_below=1e-30),
        default=0.8,
        neutral=1.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="temperature",
        aliases=("--temp",),
        meaning="Sharpens or flattens the model's probabilities. 1 leaves them as they are, "
        "below 1 favours the likely tokens, above 1 the unlikely ones, and 0 always "
        "takes the most probable token. 0.2 is nearly deterministic, 0.8 creative; near "
        "2.0 it starts to be nonsense.",
        raise_it="More variety, as entertaining chat wants; near 2.0 the text falls apart.",
        lower_it="More predictable text, as summaries in law, medicine and finance want.",
        elsewhere=Elsewhere("--temp", "temperature", "temperature", "temperature", "temperature"),
        gguf_key="general.sampling.temp",
    ),
    Param(
        name="top_k",
        kind=COUNT,
        default=40,
        neutral=0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="top_k",
        meaning="Keeps only the k most probable tokens; 0 keeps all.",
        raise_it="More candidates, so rarer words get a chance.",
        lower_it="Fewer candidates; 1 always takes the most probable token.",
        unit="tokens",
        elsewhere=Elsewhere("--top-k", "top_k", "", "top_k", "top_k"),
        gguf_key="general.sampling.top_k",
    ),
    Param(
        name="top_p",
        kind=PROBABILITY,
        default=0.95,
        neutral=1.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="top_p",
        meaning="Keeps the most probable tokens that together reach probability p. They are "
        "collected from the top down, the one that reaches p included, and one of them "
        "is drawn. Temperature reshapes the distribution; top-p limits the group. 1 "
        "keeps all tokens, 0 only the most probable.",
        raise_it="A larger group: more variety.",
        lower_it="A smaller group: safer, plainer text.",
        elsewhere=Elsewhere("--top-p", "top_p", "top_p", "top_p", "top_p"),
        gguf_key="general.sampling.top_p",
    ),
    Param(
        name="min_p",
        kind=PROBABILITY,
        default=0.05,
        neutral=0.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="min_p",
        meaning="Drops tokens much less probable than the best one. At 0.05, those with less "
        "than a twentieth of its probability: strict where the model is sure, generous "
        "where it is not.",
        raise_it="Fewer unlikely tokens; allows a higher temperature.",
        lower_it="More unlikely tokens; 0 drops none.",
        elsewhere=Elsewhere("--min-p", "min_p", "", "min_p", "min_p"),
        gguf_key="general.sampling.min_p",
    ),
    Param(
        name="typical_p",
        kind=PROBABILITY,
        default=1.0,
        neutral=1.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="typical_p",
        changes_argmax=True,
        aliases=("--typical",),
        meaning="Keeps the tokens that are about as surprising as expected. Those whose "
        "surprise is closest to the average surprise (the entropy) are collected until "
        "they reach probability p, so even the most probable token can be dropped when "
        "it is too obvious. 1 keeps all.",
        raise_it="Keeps more tokens; 1 keeps all.",
        lower_it="Keeps only what is about as surprising as expected.",
        elsewhere=Elsewhere("--typical", "typical_p", "", "typical_p", ""),
    ),
    Param(
        name="top_n_sigma",
        kind=Number(low=0, high=100, special=(-1,)),
        default=-1.0,
        neutral=-1.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="top_n_sigma",
        aliases=("--top-nsigma",),
        meaning="Keeps tokens within n standard deviations of the highest logit. Applied before "
        "the temperature, as it is by default, the kept tokens do not depend on it. -1 "
        "and 0 keep all.",
        raise_it="Keeps more tokens.",
        lower_it="Keeps fewer; 1 is a usual choice, also for high temperatures.",
        unit="standard deviations",
        elsewhere=Elsewhere("--top-nsigma"),
    ),
    Param(
        name="xtc_probability",
        kind=PROBABILITY,
        default=0.0,
        neutral=0.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="xtc",
        changes_argmax=True,
        meaning="How often XTC (exclude top choices) removes the obvious tokens. 0 is never, 1 "
        "at every token. Of the tokens that reach xtc_threshold, all but the least "
        "probable are removed.",
        raise_it="Avoids the expected word more often.",
        lower_it="Takes the expected word more often.",
        elsewhere=Elsewhere("--xtc-probability"),
        gguf_key="general.sampling.xtc_probability",
    ),
    Param(
        name="xtc_threshold",
        kind=PROBABILITY,
        default=0.1,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="xtc",
        changes_argmax=True,
        meaning="The probability at which a token counts as obvious for XTC. Two tokens can "
        "never both be above 0.5, so XTC does nothing there.",
        raise_it="XTC acts less often, and only on strong candidates.",
        lower_it="XTC removes more tokens; the text grows stranger.",
        elsewhere=Elsewhere("--xtc-threshold"),
        gguf_key="general.sampling.xtc_threshold",
    ),
    Param(
        name="dry_multiplier",
        kind=Number(low=0, high=100),
        default=0.0,
        neutral=0.0,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="dry",
        changes_argmax=True,
        meaning="Strength of DRY (don't repeat yourself); 0 turns it off. A token that would "
        "continue a repetition loses multiplier x base^(length - allowed length) from "
        "its logit, where length is that of the repeated sequence. DRY counts the "
        "output only, unless penalize_prompt is on.",
        raise_it="Repeated passages end sooner; 0.8 is a usual value.",
        lower_it="Repetition is tolerated more.",
        elsewhere=Elsewhere("--dry-multiplier"),
    ),
    Param(
        name="dry_base",
        kind=Number(low=1, high=100),
        default=1.75,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="dry",
        changes_argmax=True,
        meaning="How fast DRY's penalty grows with the length of a repetition. At 1 it does not "
        "grow.",
        raise_it="Long repetitions are punished much harder than short ones.",
        lower_it="Long and short repetitions are punished more alike.",
        elsewhere=Elsewhere("--dry-base"),
    ),
    Param(
        name="dry_allowed_length",
        kind=COUNT,
        default=2,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="dry",
        changes_argmax=True,
        meaning="How long a repetition must be before DRY acts. From this length on, the token "
        "that would continue it is penalised.",
        raise_it="Longer repetitions, such as names and phrases, stay free.",
        lower_it="Even short repetitions are penalised.",
        unit="tokens",
        elsewhere=Elsewhere("--dry-allowed-length"),
    ),
    Param(
        name="dry_last_n",
        kind=WINDOW,
        default=-1,
        neutral=0,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="dry",
        changes_argmax=True,
        aliases=("--dry-penalty-last-n",),
        meaning="How many of the latest tokens DRY searches for repetitions. -1 is the whole "
        "context, 0 none.",
        raise_it="Repetitions of older passages are found too.",
        lower_it="Only recent repetitions count.",
        unit="tokens",
        elsewhere=Elsewhere("--dry-penalty-last-n"),
    ),
    Param(
        name="dry_sequence_breakers",
        kind=Texts(),
        default=["\n", ":", '"', "*"],
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="dry",
        changes_argmax=True,
        aliases=("--dry-sequence-breaker",),
        meaning="Texts across which DRY counts no repetition. Setting this replaces the default "
        "list.",
        raise_it="More breakers: structured text, such as dialogue or lists, may repeat its form.",
        lower_it="Fewer breakers: repetition is seen across lines and quotes too.",
        elsewhere=Elsewhere("--dry-sequence-breaker"),
    ),
    Param(
        name="dynatemp_range",
        kind=Number(low=0, high=10),
        default=0.0,
        neutral=0.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="temperature",
        meaning="How far the temperature moves with the model's uncertainty. It goes from "
        "temperature - range where the model is sure to temperature + range where it is "
        "not (measured by entropy); 0 keeps it fixed.",
        raise_it="More freedom where many words would do, more care where one is right.",
        lower_it="Closer to a fixed temperature.",
        elsewhere=Elsewhere("--dynatemp-range"),
    ),
    Param(
        name="dynatemp_exponent",
        kind=Number(low=0, high=10, low_open=True),
        default=1.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        stage="temperature",
        aliases=("--dynatemp-exp",),
        meaning="How uncertainty becomes a temperature within dynatemp_range. The entropy, "
        "scaled to lie between 0 and 1, is raised to this power.",
        raise_it="High temperatures only where the model is very unsure.",
        lower_it="High temperatures even where it is fairly sure.",
        elsewhere=Elsewhere("--dynatemp-exp"),
    ),
    Param(
        name="mirostat",
        kind=Number(integer=True, low=0, high=2),
        default=0,
        neutral=0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        meaning="Steers the text towards a chosen surprise; 0 is off. 1 is Mirostat, 2 the simpler "
        "Mirostat 2.0. Either takes the place of the draw and of the stages that remove tokens "
        "(top_n_sigma, top_k, typical_p, top_p, min_p, xtc).",
        raise_it="1 and 2 hold the surprise near mirostat_tau, however long the text.",
        lower_it="0 draws from what the sampler stages leave.",
        elsewhere=Elsewhere("--mirostat", "mirostat"),
        gguf_key="general.sampling.mirostat",
    ),
    Param(
        name="mirostat_tau",
        kind=Number(low=0, high=100),
        default=5.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        aliases=("--mirostat-ent",),
        meaning="The average surprise that Mirostat aims at.",
        raise_it="More surprising, more varied text.",
        lower_it="More focused, more predictable text.",
        unit="bits a token",
        elsewhere=Elsewhere("--mirostat-ent", "mirostat_tau"),
        gguf_key="general.sampling.mirostat_tau",
    ),
    Param(
        name="mirostat_eta",
        kind=PROBABILITY,
        default=0.1,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        aliases=("--mirostat-lr",),
        meaning="How strongly Mirostat corrects itself after each token. "
        "This is its learning rate.",
        raise_it="Reacts faster, and less steadily.",
        lower_it="Reacts more slowly and evenly; 0 never corrects.",
        elsewhere=Elsewhere("--mirostat-lr", "mirostat_eta"),
        gguf_key="general.sampling.mirostat_eta",
    ),
    Param(
        name="adaptive_p_target",
        kind=Number(low=0, high=1, special=(-1,)),
        default=-1.0,
        neutral=-1.0,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        aliases=("--adaptive-target",),
        meaning="Prefers tokens whose probability is near this target; -1 is off. It replaces "
        "the draw among the tokens that the sampler stages leave, and corrects itself "
        "so that the average stays near the target.",
        raise_it="Prefers probable tokens: more predictable text.",
        lower_it="Prefers less probable tokens: more inventive text.",
        elsewhere=Elsewhere("--adaptive-target"),
    ),
    Param(
        name="adaptive_p_decay",
        kind=Number(low=0, high=0.99),
        default=0.9,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        aliases=("--adaptive-decay",),
        meaning="How long adaptive-p remembers its choices. About 1/(1 - decay) tokens: at 0.9, "
        "ten.",
        raise_it="Steadier: balances over more tokens.",
        lower_it="More reactive: balances over fewer tokens.",
        elsewhere=Elsewhere("--adaptive-decay"),
    ),
    Param(
        name="repeat_penalty",
        kind=Number(low=1e-6, high=10),
        default=1.0,
        neutral=1.0,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="penalties",
        changes_argmax=True,
        meaning="Makes tokens that have occurred less likely; 1 changes nothing. Their logit is "
        "divided by the penalty where it is positive and multiplied where it is "
        "negative, once or for every occurrence (repeat_penalty_growth). It counts the "
        "output only, unless penalize_prompt is on.",
        raise_it="Less repetition; keep it low: above about 1.3 the text suffers.",
        lower_it="Less interference; below 1 repetition is encouraged.",
        elsewhere=Elsewhere(
            "--repeat-penalty", "repeat_penalty", "", "repetition_penalty", "repetition_penalty"
        ),
        gguf_key="general.sampling.penalty_repeat",
    ),
    Param(
        name="repeat_penalty_growth",
        kind=Choice(("once", "exponential")),
        default="once",
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="penalties",
        changes_argmax=True,
        meaning="Whether repeat_penalty applies once or for every occurrence. 'once', as in "
        "llama.cpp, is the same however often a token occurred; 'exponential' is "
        "penalty^count.",
        raise_it="exponential stops endless repetition even with a penalty near 1.",
        lower_it="once is gentler on words that must recur, such as names.",
    ),
    Param(
        name="repeat_last_n",
        kind=WINDOW,
        default=64,
        neutral=0,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="penalties",
        changes_argmax=True,
        meaning="How many of the latest tokens the penalties count. These are the repetition, "
        "frequency and presence penalty; -1 is the whole context, 0 none.",
        raise_it="Words said long ago are penalised too.",
        lower_it="Only what was said just now is penalised.",
        unit="tokens",
        elsewhere=Elsewhere("--repeat-last-n", "repeat_last_n"),
        gguf_key="general.sampling.penalty_last_n",
    ),
    Param(
        name="frequency_penalty",
        kind=PENALTY,
        default=0.0,
        neutral=0.0,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="penalties",
        changes_argmax=True,
        meaning="Lowers a token's logit by this much for every occurrence. So it grows "
        "linearly: after 'bear' ten times and 'fox' once, bear is penalised ten times "
        "as much. It counts the output only, unless penalize_prompt is on.",
        raise_it="Frequent words give way to others; OpenAI allows up to 2.",
        lower_it="Less interference; below 0 repetition is encouraged.",
        elsewhere=Elsewhere(
            "--frequency-penalty",
            "frequency_penalty",
            "frequency_penalty",
            "",
            "frequency_penalty",
        ),
    ),
    Param(
        name="presence_penalty",
        kind=PENALTY,
        default=0.0,
        neutral=0.0,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="penalties",
        changes_argmax=True,
        meaning="Lowers a token's logit by this much once it has occurred. How often does not "
        "matter: after 'bear' ten times and 'fox' once, both are penalised alike. It "
        "counts the output only, unless penalize_prompt is on.",
        raise_it="New words and topics; OpenAI allows up to 2.",
        lower_it="Stays with its words; below 0 repetition is encouraged.",
        elsewhere=Elsewhere(
            "--presence-penalty", "presence_penalty", "presence_penalty", "", "presence_penalty"
        ),
    ),
    Param(
        name="penalize_prompt",
        kind=Switch(),
        default=False,
        neutral=False,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        of_the_whole=True,
        stage="penalties",
        changes_argmax=True,
        meaning="Whether the penalties and DRY count the prompt's tokens too. Off, they count "
        "the output only; llama.cpp's programs count the prompt.",
        raise_it="On: the answer also avoids the words of the question.",
        lower_it="Off: a summary may use the words of its source.",
    ),
    Param(
        name="logit_bias",
        kind=Biases(),
        default={},
        neutral={},
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        stage="logit_bias",
        changes_argmax=True,
        aliases=("-l",),
        meaning="Makes chosen tokens more or less likely. Adds a number to the logits of tokens "
        "named by id or by text, which stands for every token it consists of; false "
        "forbids a token. The name of a control token is that token, not the letters of its name.",
        raise_it="A positive number makes the token more likely; 100 all but forces it.",
        lower_it="A negative number makes it less likely; false forbids it.",
        elsewhere=Elsewhere("--logit-bias", "", "logit_bias", "sequence_bias", "logit_bias"),
    ),
    Param(
        name="sampler_order",
        kind=Words(SAMPLER_STAGES),
        default=list(SAMPLER_STAGES),
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        changes_argmax=True,
        aliases=("--samplers",),
        meaning="Which sampler stages run, and in which order. A stage that is not named does "
        "not run. Temperature comes last here, as in llama.cpp; HF and vLLM apply it "
        "first, so the same numbers keep different tokens there.",
        raise_it="Earlier stages decide what later ones see.",
        lower_it="Leaving a stage out switches it off, whatever its settings.",
        elsewhere=Elsewhere("--samplers"),
        gguf_key="general.sampling.sequence",
    ),
    Param(
        name="seed",
        kind=Number(integer=True, low=0, high=MAX_SEED, special=(-1,)),
        default=-1,
        group=Group.INFERENCE,
        scope=Scope.SAMPLING,
        of_the_whole=True,
        aliases=("-s",),
        meaning="Where the random numbers start; -1 draws a seed and reports it. The same seed, "
        "model and settings give the same text again.",
        raise_it="Another number is simply another draw.",
        lower_it="-1 gives new text every time.",
        elsewhere=Elsewhere("--seed", "seed", "seed", "", "seed"),
    ),
    Param(
        name="thinking",
        kind=Choice(("auto", "on", "off", "low", "medium", "high")),
        default="auto",
        neutral="auto",
        group=Group.INFERENCE,
        scope=Scope.PROMPT,
        meaning="How much a reasoning model thinks before it answers. Its chat template says what "
        "there is: on and off, or levels. auto leaves it to the template, with which most models "
        "think. What is thought is shown apart from the answer.",
        raise_it="on, or high: better answers to hard questions, and longer waits.",
        lower_it="off, or low: the answer comes at once.",
        elsewhere=Elsewhere(
            "--reasoning", "think", "reasoning_effort", "enable_thinking", "reasoning_effort"
        ),
    ),
    Param(
        name="template_arg",
        kind=Arguments(),
        default={},
        neutral={},
        group=Group.INFERENCE,
        scope=Scope.PROMPT,
        meaning="Variables of the chat template. Their values are JSON or text, as in "
        "enable_thinking=false or reasoning_effort=high.",
        raise_it="Reaches what only this template has.",
        lower_it="Leaves the template to its own defaults.",
        elsewhere=Elsewhere("--chat-template-kwargs", "", "", "", "chat_template_kwargs"),
    ),
    Param(
        name="chat_template",
        kind=Template(),
        default="",
        neutral="",
        group=Group.INFERENCE,
        scope=Scope.PROMPT,
        reads_file=True,
        meaning="What turns messages into a prompt, in place of the model's own. A file, the name "
        "of a template in the model or in llama.cpp (such as chatml), or Jinja.",
        raise_it="Another template helps where the model's own is missing or wrong.",
        lower_it="The model's own is the one that it was trained with.",
        elsewhere=Elsewhere("--chat-template", "", "", "chat_template", "chat_template"),
    ),
    Param(
        name="max_tokens",
        kind=Number(integer=True, low=1, high=INT32_MAX, special=(-1,)),
        default=512,
        neutral=-1,
        group=Group.MEMORY,
        scope=Scope.STOPPING,
        aliases=("-n", "--n-predict", "--predict"),
        meaning="The most tokens that may be written. -1 goes on until the model stops or the "
        "context is full.",
        raise_it="Room for longer answers, and longer waits.",
        lower_it="Shorter, faster answers, perhaps cut off in mid-sentence.",
        unit="tokens",
        elsewhere=Elsewhere(
            "--n-predict", "num_predict", "max_completion_tokens", "max_new_tokens", "max_tokens"
        ),
    ),
    Param(
        name="max_thinking_tokens",
        kind=Number(integer=True, low=0, high=INT32_MAX, special=(-1,)),
        default=-1,
        neutral=-1,
        group=Group.MEMORY,
        scope=Scope.STOPPING,
        aliases=("--reasoning-budget",),
        meaning="The most tokens that a reasoning model may think. Then its own closing mark is "
        "written for it, and it has to answer. 0 ends the thoughts at once, -1 never.",
        raise_it="More thorough thoughts, and longer waits.",
        lower_it="The answer comes sooner, on less thought.",
        unit="tokens",
        elsewhere=Elsewhere("--reasoning-budget", "", "", "", "thinking_token_budget"),
    ),
    Param(
        name="stop",
        kind=Texts(),
        default=[],
        neutral=[],
        group=Group.MEMORY,
        scope=Scope.STOPPING,
        aliases=("-r", "--reverse-prompt"),
        meaning="Texts that end the output when they appear. They are not printed themselves. A "
        "full stop, for example, ends it after one sentence and saves tokens. The name of a "
        "control token ends it at that token.",
        raise_it="More texts: more ways to end early.",
        lower_it="Fewer texts: the model decides where it ends.",
        elsewhere=Elsewhere("--reverse-prompt", "stop", "stop", "stop_strings", "stop"),
    ),
    Param(
        name="ignore_eos",
        kind=Switch(),
        default=False,
        neutral=False,
        group=Group.MEMORY,
        scope=Scope.STOPPING,
        meaning="Forbids the tokens with which the model ends its text. Only the other limits "
        "stop it then: for measurements and free-running text.",
        raise_it="On: the model cannot stop by itself, and may ramble.",
        lower_it="Off: the model ends where it thinks it is done.",
        elsewhere=Elsewhere("--ignore-eos", "", "", "", "ignore_eos"),
    ),
    Param(
        name="time_limit",
        kind=Number(low=0),
        default=0.0,
        neutral=0.0,
        group=Group.MEMORY,
        scope=Scope.STOPPING,
        meaning="Ends the output after this many seconds; 0 is no limit. What was written is kept.",
        raise_it="More patience for slow models and long answers.",
        lower_it="A bounded wait, perhaps a cut-off answer.",
        unit="seconds",
        elsewhere=Elsewhere("", "", "", "max_time", ""),
    ),
    Param(
        name="context",
        kind=COUNT,
        default=0,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-c", "--ctx-size"),
        meaning="How much the model can hold at once, prompt and output together. 0 is as much "
        "of its trained context as memory allows, at most 8192.",
        raise_it="Longer documents and conversations, more memory; beyond the trained length "
        "quality falls.",
        lower_it="Less memory; long prompts no longer fit.",
        unit="tokens",
        elsewhere=Elsewhere("--ctx-size", "num_ctx", "", "", "max_model_len"),
    ),
    Param(
        name="batch_size",
        kind=AT_LEAST_ONE,
        default=2048,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-b",),
        meaning="The most prompt tokens handed to the model in one call.",
        raise_it="Long prompts are read in fewer calls, with more memory.",
        lower_it="Less memory, slower reading.",
        unit="tokens",
        elsewhere=Elsewhere("--batch-size", "num_batch", "", "", "max_num_batched_tokens"),
    ),
    Param(
        name="ubatch_size",
        kind=AT_LEAST_ONE,
        default=512,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-ub",),
        meaning="The most tokens computed at the same time. A batch is cut into pieces of this "
        "size.",
        raise_it="Faster reading on GPUs, with larger compute buffers.",
        lower_it="Smaller compute buffers, slower reading.",
        unit="tokens",
        elsewhere=Elsewhere("--ubatch-size"),
    ),
    Param(
        name="threads",
        kind=THREADS,
        default=0,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-t",),
        meaning="CPU threads while writing; 0 is every CPU this process may use. Affinity and "
        "cgroup quota are taken into account.",
        raise_it="Faster up to the number of physical cores, slower beyond.",
        lower_it="Leaves CPUs to other programs.",
        unit="threads",
        elsewhere=Elsewhere("--threads", "num_thread"),
    ),
    Param(
        name="threads_batch",
        kind=THREADS,
        default=0,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-tb",),
        meaning="CPU threads while reading the prompt; 0 is as many as threads.",
        raise_it="Reading may gain from more threads than writing does.",
        lower_it="Leaves CPUs to other programs.",
        unit="threads",
        elsewhere=Elsewhere("--threads-batch"),
    ),
    Param(
        name="gpu_layers",
        kind=Number(integer=True, low=0, high=INT32_MAX, words=("auto", "all")),
        default="auto",
        group=Group.MEMORY,
        scope=Scope.LOAD,
        aliases=("-ngl", "--n-gpu-layers"),
        meaning="How many of the model's layers are computed on the GPU. 'auto' is as many as "
        "fit, 'all' all of them. Without a GPU the CPU computes everything.",
        raise_it="Faster, as long as the GPU's memory holds them.",
        lower_it="Less GPU memory; 0 uses the CPU for all layers.",
        unit="layers",
        elsewhere=Elsewhere("--n-gpu-layers", "num_gpu"),
    ),
    Param(
        name="main_gpu",
        kind=COUNT,
        default=0,
        group=Group.MEMORY,
        scope=Scope.LOAD,
        aliases=("-mg",),
        meaning="The GPU, counted from 0, that computes alone with split_mode none.",
        raise_it="Takes another GPU.",
        lower_it="0 is the first GPU.",
        elsewhere=Elsewhere("--main-gpu", "main_gpu"),
    ),
    Param(
        name="split_mode",
        kind=Choice(("none", "layer", "row", "tensor")),
        default="layer",
        group=Group.MEMORY,
        scope=Scope.LOAD,
        aliases=("-sm",),
        meaning="How the model is divided among several GPUs. 'none' uses one, 'layer' gives "
        "each whole layers, 'row' divides the matrices by rows, 'tensor' divides "
        "weights and attention cache (experimental).",
        raise_it="row and tensor compute on all GPUs at once, and need fast links between them.",
        lower_it="none avoids all traffic between GPUs.",
        elsewhere=Elsewhere("--split-mode"),
    ),
    Param(
        name="tensor_split",
        kind=Floats(),
        default=[],
        group=Group.MEMORY,
        scope=Scope.LOAD,
        aliases=("-ts",),
        meaning="How much of the model each GPU gets, as proportions. 3,1 gives the first GPU "
        "three quarters; empty divides by free memory.",
        raise_it="A larger number gives that GPU more of the model.",
        lower_it="A smaller number spares that GPU; 0 leaves it out.",
        elsewhere=Elsewhere("--tensor-split"),
    ),
    Param(
        name="flash_attention",
        kind=Choice(("auto", "on", "off")),
        default="auto",
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-fa", "--flash-attn"),
        meaning="Computes attention in blocks, without storing its whole matrix. Less memory "
        "and usually faster; 'auto' uses it where it is supported.",
        raise_it="on: insists; a quantised cache_type_v and split_mode tensor need it.",
        lower_it="off: the classical computation, to compare with.",
        elsewhere=Elsewhere("--flash-attn"),
    ),
    Param(
        name="cache_type_k",
        kind=Choice(CACHE_TYPES),
        default="f16",
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-ctk",),
        meaning="The number format of the attention keys, kept for every token. They take "
        "memory in proportion to the context.",
        raise_it="f32 is exact and takes twice the memory of f16.",
        lower_it="q8_0 takes about half the memory of f16, q4_0 a quarter, at some cost in "
        "quality.",
        elsewhere=Elsewhere("--cache-type-k", "", "", "", "kv_cache_dtype"),
    ),
    Param(
        name="cache_type_v",
        kind=Choice(CACHE_TYPES),
        default="f16",
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        aliases=("-ctv",),
        meaning="The number format of the attention values, kept for every token. They take "
        "memory in proportion to the context; a quantised format needs flash attention.",
        raise_it="f32 is exact and takes twice the memory of f16.",
        lower_it="q8_0 takes about half the memory of f16, q4_0 a quarter, at some cost in "
        "quality.",
        elsewhere=Elsewhere("--cache-type-v", "", "", "", "kv_cache_dtype"),
    ),
    Param(
        name="mmap",
        kind=Switch(),
        default=True,
        group=Group.MEMORY,
        scope=Scope.LOAD,
        meaning="Maps the model file into memory instead of reading it. A quick start, and "
        "memory shared with other processes.",
        raise_it="On: loads at once, and reads from disk as needed.",
        lower_it="Off: slower to load, steadier afterwards on slow or network disks.",
        elsewhere=Elsewhere("--load-mode mmap", "use_mmap"),
    ),
    Param(
        name="mlock",
        kind=Switch(),
        default=False,
        neutral=False,
        group=Group.MEMORY,
        scope=Scope.LOAD,
        meaning="Locks the model in memory, so that it is never swapped out. May need a higher "
        "`ulimit -l`.",
        raise_it="On: no pauses after idle times.",
        lower_it="Off: the system may reclaim the memory.",
        elsewhere=Elsewhere("--load-mode mlock"),
    ),
    Param(
        name="deterministic",
        kind=Switch(),
        default=False,
        neutral=False,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        meaning="The same bits for an answer, whatever is decoded beside it. And on any number of "
        "threads. Without it, answers of more than 256 tokens (prompt included) and models in F16, "
        "F32 or K-quants may differ by rounding. It computes on the CPU only.",
        raise_it="The same text alone, in compare and in batch, at a third of the speed or less.",
        lower_it="Full speed.",
    ),
    Param(
        name="rope_freq_base",
        kind=Number(low=0, high=10**12),
        default=0.0,
        neutral=0.0,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        meaning="The base of the rotary position frequencies; 0 takes the model's own. A higher "
        "base stretches the context beyond what was trained (NTK-aware scaling).",
        raise_it="Longer contexts stay coherent, short ones lose a little.",
        lower_it="Nearer to what was trained.",
        elsewhere=Elsewhere("--rope-freq-base"),
    ),
    Param(
        name="rope_freq_scale",
        kind=Number(low=0, high=100),
        default=0.0,
        neutral=0.0,
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        meaning="Multiplies the rotary positions; 0 takes the model's own. 0.5 fits twice the "
        "trained length into the trained range (linear scaling).",
        raise_it="Nearer to 1: positions as trained.",
        lower_it="Longer contexts, coarser positions.",
        elsewhere=Elsewhere("--rope-freq-scale"),
    ),
    Param(
        name="lora",
        kind=Texts(),
        default=[],
        neutral=[],
        group=Group.MEMORY,
        scope=Scope.CONTEXT,
        meaning="LoRA adapters (GGUF files) to add, as PATH or PATH:SCALE. They are small fine-"
        "tuned changes of the model's weights. `none` takes away those of a preset.",
        raise_it="A larger scale strengthens what the adapter learned.",
        lower_it="A smaller scale weakens it; 0 is the model without it.",
        elsewhere=Elsewhere("--lora", "ADAPTER", "", "", "lora_request"),
    ),
    Param(
        name="prompt_lookup",
        kind=DRAFT,
        default=0,
        neutral=0,
        group=Group.MEMORY,
        scope=Scope.DRAFTING,
        meaning="Guesses so many tokens at most from earlier text; 0 is off. What followed the "
        "last few tokens where they stood before, in prompt or answer, or what a JSON Schema or "
        "a regular expression forces, is checked by the model in one call. Every token is still "
        "drawn by the model itself, with the same settings and seed: the text is the same, only "
        "sooner where it is copied or forced. Guesses get shorter, and stop, where they fail; "
        "there are none while several answers are written together. "
        "Tokens that are checked together are rounded differently from single ones, so that now "
        "and then, where two tokens are almost equal, the text takes another turn.",
        raise_it="More speed where long passages are copied, as in edits and quotations, and for "
        "schemas with long names; 8 is enough for most.",
        lower_it="Less is computed in vain; 0 computes every token by itself.",
        unit="tokens",
        elsewhere=Elsewhere("--spec-ngram-simple-size-m", hf="prompt_lookup_num_tokens"),
    ),
    Param(
        name="draft_model",
        kind=Model(),
        default="",
        neutral="",
        group=Group.MEMORY,
        scope=Scope.DRAFTING,
        aliases=("-md", "--model-draft"),
        meaning="A small model that guesses what the model will write. The model checks its "
        "guesses several at a time and draws every token itself, as with prompt_lookup. It must "
        "have the same vocabulary, as models of one family do, and be much smaller: its guesses "
        "are computed too, and are left out where they do not pay. `none` takes away that of a "
        "preset.",
        raise_it="A better one guesses more that is right; a smaller one guesses faster.",
        lower_it="Without one, memory is saved.",
        elsewhere=Elsewhere("--model-draft"),
    ),
    Param(
        name="draft_max",
        kind=Number(integer=True, low=1, high=MOST_DRAFTED),
        default=8,
        group=Group.MEMORY,
        scope=Scope.DRAFTING,
        aliases=("--spec-draft-n-max",),
        meaning="The most tokens that the draft model guesses at once. What is worth "
        "its price is found out while it writes.",
        raise_it="Longer guesses, where most of them are right.",
        lower_it="Less is computed in vain.",
        unit="tokens",
        elsewhere=Elsewhere("--spec-draft-n-max", hf="num_assistant_tokens"),
    ),
    Param(
        name="grammar",
        kind=Grammar(),
        default="",
        neutral="",
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        of_the_whole=True,
        changes_argmax=True,
        reads_file=True,
        meaning="A grammar in GBNF that the output must follow. Tokens that would break it are "
        "never drawn. <NAME> outside quotes is the token of that name, a control token too, which "
        "adds no text.",
        raise_it="A narrower grammar leaves fewer ways to go wrong.",
        lower_it="A wider grammar, or none, leaves the form to the model.",
        elsewhere=Elsewhere("--grammar", "", "", "", "structured_outputs"),
    ),
    Param(
        name="json_schema",
        kind=JsonSchema(),
        default=None,
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        of_the_whole=True,
        changes_argmax=True,
        reads_file=True,
        aliases=("-j",),
        meaning="A JSON Schema that the output must follow. It is turned into a grammar; {} "
        "admits any JSON value.",
        raise_it="A stricter schema gives more uniform data.",
        lower_it="A looser schema leaves more to the model.",
        elsewhere=Elsewhere("--json-schema", "format", "response_format", "", "structured_outputs"),
    ),
    Param(
        name="regex",
        kind=Regex(),
        default="",
        neutral="",
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        of_the_whole=True,
        changes_argmax=True,
        meaning="A regular expression that the whole output must match. It is one of ECMAScript, "
        "as in a JSON Schema's pattern, without look-around and references to groups; ^ and $ at "
        "its ends change nothing.",
        raise_it="A narrower expression leaves fewer ways to go wrong.",
        lower_it="A wider expression, or none, leaves the form to the model.",
        elsewhere=Elsewhere(vllm="structured_outputs"),
    ),
    Param(
        name="choices",
        kind=Choices(),
        default=[],
        neutral=[],
        group=Group.QUALITY,
        scope=Scope.SAMPLING,
        of_the_whole=True,
        changes_argmax=True,
        aliases=("--choice",),
        meaning="The texts of which the output is one. The probability that the model begins "
        "its answer with it is computed for each of them after one reading of the prompt, and "
        "reported; one is drawn by these probabilities, which the temperature sharpens or "
        "flattens, and at temperature 0 it is the most probable one. `none` takes away those of "
        "a preset.",
        raise_it="More texts: more answers are told apart.",
        lower_it="Fewer texts; without any, the model writes what it likes.",
        elsewhere=Elsewhere(vllm="structured_outputs"),
    ),
)

PARAMS: dict[str, Param] = {param.name: param for param in _ROWS}


def named(word: str) -> Param | None:
    """The parameter with this name, flag or alias: '--top-k', 'top-k' and 'TOP_K' are top_k."""
    return BY_FLAG.get(plain(word))


def plain(word: str) -> str:
    """A flag or a name as a name is written."""
    return word.lstrip("-").replace("-", "_").lower()


BY_FLAG = {plain(flag): param for param in PARAMS.values() for flag in param.flags}


def by_group() -> dict[Group, list[Param]]:
    """The rows under each heading of the taxonomy, empty headings included."""
    return {group: [p for p in PARAMS.values() if p.group is group] for group in Group}
