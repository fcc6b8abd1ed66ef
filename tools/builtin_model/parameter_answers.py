"""Questions and answers about the parameters of language models."""

# One sentence a line reads better here than wrapped strings.
# ruff: noqa: E501

from __future__ import annotations

import random
from dataclasses import dataclass

import copying
from grammar import expand, sentence_case


@dataclass(frozen=True)
class Topic:
    """One parameter: its names, what it is, what high and low values do, and advice."""

    names: str
    meaning: tuple[str, ...]
    effect: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


TOPICS = (
    Topic(
        "temperature|the temperature|the temperature parameter|--temp|the temperature setting|sampling temperature",
        (
            "Temperature [sets|controls] how [bold|random] the choice of the next token is. at 1 the model's own distribution is used, below 1 it becomes sharper, above 1 it becomes flatter.",
            "Temperature divides the logits before they become probabilities. a low value makes likely tokens even more likely, a high value gives unlikely tokens a chance.",
        ),
        (
            "With a high temperature the text becomes [more creative|more surprising], and near 2.0 it turns into nonsense. with a low temperature it becomes predictable.",
            "Above 1 temperature flattens the distribution, below 1 it sharpens it, and at 0 the most probable token is always chosen.",
        ),
        (
            "Use [about 0.2|a low temperature such as 0.2] for summaries in law, medicine or finance, and about 0.8 for creative text.",
            "A temperature of 0.8 suits creative chat, and 0.2 suits [precise|factual] summaries.",
        ),
    ),
    Topic(
        "top-p|top_p|nucleus sampling|the top-p parameter|top p",
        (
            "Top-p ranks the tokens by probability and keeps the most probable ones until their [sum|cumulative probability] reaches p. the next token is drawn from that group.",
            "Top-p limits the choice to the smallest group of tokens whose probabilities add up to at least p.",
        ),
        (
            "A low top-p keeps only [a few|the safest] tokens, and a top-p of 1 keeps all of them.",
            "With a high top-p more tokens stay in the group and the text is more varied. with a low one it is safer.",
        ),
        ("Values [between 0.9 and 0.95|around 0.9] are common for top-p. with 1 it is switched off.",),
    ),
    Topic(
        "top-k|top_k|the top-k parameter|top k",
        (
            "Top-k keeps only the k most probable tokens and [removes|discards] all the others.",
            "With top-k, the next token is drawn from the k tokens with the highest probability.",
        ),
        (
            "A small top-k makes the text [safe and repetitive|predictable], a large top-k makes it more varied. with top-k 1 the choice is always the most probable token.",
        ),
        ("A top-k of 40 is [common|the default in llama.cpp]. the value 0 switches it off.",),
    ),
    Topic(
        "min-p|min_p|the min-p parameter|min p",
        (
            "Min-p removes every token whose probability is less than p times the probability of the [best|most probable] token.",
        ),
        ("A higher min-p removes more unlikely tokens. it adapts to how sure the model is.",),
        ("A min-p of 0.05 is a good start. the value 0 switches it off.",),
    ),
    Topic(
        "typical-p|typical sampling|typical_p|locally typical sampling",
        ("Typical sampling keeps the tokens whose information is close to [the average|the entropy of the distribution], until their probabilities reach p.",),
        ("A low typical-p removes tokens that are too surprising and also tokens that are too obvious.",),
        ("The value 1 switches typical sampling off.",),
    ),
    Topic(
        "max tokens|the maximum number of tokens|max_tokens|maximum tokens|n_predict|the max tokens parameter",
        (
            "Max tokens is the largest number of tokens that the model may write[ in one answer|]. when it is reached, the output stops, even in the middle of a sentence.",
            "Max tokens limits the length of the output.",
        ),
        ("With a small value the answer may be cut off. with a large value it can be long and takes more time.",),
        ("Set max tokens a little higher than the longest answer that you expect.",),
    ),
    Topic(
        "the context window|context window|context length|the context size|n_ctx|num_ctx",
        (
            "The context window is the number of tokens that the model can hold at once: the prompt and the output together.",
            "The context window says how much text a model can see at the same time. what does not fit is [forgotten|cut off].",
        ),
        ("A larger context window holds more text, but it needs more memory[ and time|].",),
        ("Choose a context window that is large enough for the prompt and the answer, and no larger than the model was trained for.",),
    ),
    Topic(
        "a stop sequence|stop sequences|the stop sequence|stop strings|the stop parameter",
        (
            "A stop sequence is text that ends the output as soon as it appears.",
            "When the model writes the stop sequence, the generation ends there. it saves tokens.",
        ),
        ("With a full stop as the stop sequence, the output ends after one sentence.",),
        ("Use a stop sequence when you know how the answer ends, for example a full stop for a single sentence.",),
    ),
    Topic(
        "the frequency penalty|frequency penalty|frequency_penalty|the frequency penalty parameter",
        (
            "The frequency penalty lowers the logit of a token a little more with every occurrence[ in the output|], so it grows linearly.",
            "The frequency penalty is subtracted once for each time the token has already occurred.",
        ),
        (
            "If 'bear' occurs ten times and 'fox' once, the frequency penalty lowers 'bear' ten times as much as 'fox'.",
            "A high frequency penalty avoids words that were used often. too much of it makes the text strange.",
        ),
        ("Values between 0 and 1 are usual for the frequency penalty. 0 switches it off.",),
    ),
    Topic(
        "the presence penalty|presence penalty|presence_penalty|the presence penalty parameter",
        (
            "The presence penalty lowers the logit of every token that has already occurred by the same amount, no matter how often it occurred.",
            "The presence penalty is subtracted once from each token that is already present in the output.",
        ),
        (
            "If 'bear' occurs ten times and 'fox' once, the presence penalty lowers both by the same amount.",
            "A high presence penalty leads the model to new words and new topics.",
        ),
        ("Values between 0 and 1 are usual for the presence penalty. 0 switches it off.",),
    ),
    Topic(
        "the repetition penalty|repetition penalty|repeat penalty|repeat_penalty|repetition_penalty",
        (
            "The repetition penalty makes tokens that have already occurred less likely. it divides their logits, and the effect can grow exponentially with the number of occurrences.",
            "The repetition penalty is like the frequency penalty, but exponential instead of linear in the number of occurrences.",
        ),
        ("A high repetition penalty breaks sentences, because even small words such as 'the' are avoided.",),
        ("Keep the repetition penalty low, for example between 1.0 and 1.2. the value 1.0 switches it off.",),
    ),
    Topic(
        "the repetition window|repeat-last-n|repeat_last_n|the penalty window",
        ("Repeat-last-n says how many of the last tokens the penalties look at.",),
        ("A large window also finds repetitions that are far apart. the value 0 switches the penalties off.",),
        ("In llama.cpp the default of repeat-last-n is 64.",),
    ),
    Topic(
        "the seed|a seed|the random seed|seed|the seed parameter",
        (
            "The seed starts the random number generator. the same seed with the same settings gives the same text again.",
            "The seed makes the random choice of tokens repeatable.",
        ),
        ("Another seed gives another text. at temperature 0 the seed changes nothing.",),
        ("Fix the seed when you want to compare settings or repeat a result.",),
    ),
    Topic(
        "logit bias|the logit bias|logit_bias",
        ("Logit bias adds a number to the logit of a chosen token before sampling.",),
        ("A positive bias makes the token more likely, a negative one makes it less likely, and a very negative one forbids it.",),
        ("Use logit bias to forbid or to prefer single words.",),
    ),
    Topic(
        "the learning rate|learning rate|learning_rate",
        (
            "The learning rate is the size of the steps in gradient descent.",
            "The learning rate says how far the weights move in each training step.",
        ),
        ("A high learning rate is fast but may overshoot the minimum. a low one is precise but may stall.",),
        ("Start with a high learning rate and lower it as the loss comes near its minimum.",),
    ),
    Topic(
        "the batch size|batch size|batch_size",
        ("The batch size is the number of examples that are used for one training step.",),
        ("A large batch gives a smoother gradient but needs more memory. a small batch is noisy but cheap.",),
        ("Choose the largest batch size that fits into memory and still learns well.",),
    ),
    Topic(
        "the number of layers|layers|a layer|number of layers",
        ("The layers are the steps through which a model sends every token. more layers make the model more complex.",),
        ("Too many layers overfit and waste computing time, and too few layers miss patterns.",),
        ("Use as many layers as the task and the data need, and not more.",),
    ),
    Topic(
        "the hidden dimension|hidden dimensions|the hidden size|hidden size|the embedding size",
        ("The hidden dimension is the length of the vector that stands for each token inside the model.",),
        ("A larger hidden dimension can hold more information, but it needs more memory and time.",),
        ("The hidden dimension is fixed when a model is built, so choose another model if you need another size.",),
    ),
    Topic(
        "weights|the weights|a weight|model weights",
        (
            "Weights are the numbers that a model learns. they say how strongly one value influences the next.",
            "Weights are learned parameters: each one multiplies an input and is adjusted during training.",
        ),
        ("When the weights change, the model behaves differently. training moves them to lower the loss.",),
        ("You do not set weights by hand. you train them, or you load a model that was trained.",),
    ),
    Topic(
        "biases|a bias|the biases|bias",
        ("Biases are learned numbers that are added to a weighted sum. they shift the result even if the input is zero.",),
        ("A larger bias makes a neuron active more easily.",),
        ("Biases are learned together with the weights, so nobody sets them by hand.",),
    ),
    Topic(
        "hyperparameters|a hyperparameter|hyperparameter",
        (
            "Hyperparameters are settings that people choose, while weights and biases are learned. examples are the learning rate and the temperature.",
            "A hyperparameter is a setting from outside: of the architecture, the training, the inference, the memory or the output quality.",
        ),
        ("Hyperparameters change how a model learns or writes, without being learned themselves.",),
        ("Change one hyperparameter at a time and compare the results.",),
    ),
    Topic(
        "parameters|LLM parameters|a parameter|the parameters of a language model|parameters in an LLM",
        ("Parameters are the numbers that decide what a model writes: weights and biases are learned, and hyperparameters are chosen by people.",),
        ("More learned parameters can hold more knowledge, but they need more memory.",),
        ("Begin with temperature, top-p and max tokens, since these change the output the most.",),
    ),
    Topic(
        "fine-tuning|finetuning|fine tuning",
        ("Fine-tuning trains a finished model further on new examples, so that its weights fit a special task.",),
        ("Fine-tuning makes a model better at one task, but it can forget others.",),
        ("Use fine-tuning when prompts are not enough and you have good examples.",),
    ),
    Topic(
        "PEFT|parameter-efficient fine-tuning|LoRA|peft",
        ("PEFT is fine-tuning that freezes most of the weights and trains only a small part of them.",),
        ("PEFT needs less memory and time than full fine-tuning, and the old knowledge stays.",),
        ("Use PEFT when the model is large and your machine is small.",),
    ),
    Topic(
        "transfer learning|Transfer learning",
        ("Transfer learning reuses what a model has learned from one task for another task.",),
        ("With transfer learning a new task needs fewer examples and less time.",),
        ("Use transfer learning when you have little data of your own.",),
    ),
    Topic(
        "quantization|quantisation|a quantized model",
        (
            "Quantization stores the numbers of a model with fewer bits, so that it becomes smaller and faster.",
            "Quantization simplifies all the numbers in a model, for example from 16 bits to 4 bits.",
        ),
        ("Fewer bits need less memory, but the answers can become a little worse.",),
        ("A quantization with about 4 to 5 bits is often a good balance of size and quality.",),
    ),
    Topic(
        "early stopping|Early stopping",
        ("Early stopping ends the training when the loss on held-out examples no longer improves.",),
        ("Early stopping prevents overfitting and saves time.",),
        ("Use early stopping whenever you can measure the loss on examples that are not in the training set.",),
    ),
    Topic(
        "hyperparameter tuning|tuning|hyperparameter search",
        ("Hyperparameter tuning lets an algorithm search for the best combination of settings.",),
        ("Good tuning finds settings that a person would not have tried.",),
        ("Give the search clear examples and a score, and let it try many combinations.",),
    ),
    Topic(
        "overfitting|Overfitting",
        ("Overfitting means that a model learns its training examples by heart and fails on new ones.",),
        ("With overfitting, the training loss falls while the loss on new examples rises.",),
        ("Against overfitting, use more data, fewer layers or early stopping.",),
    ),
    Topic(
        "a token|tokens|a token in an LLM",
        ("A token is a piece of text, such as a word, a part of a word or a digit. the model reads and writes tokens.",),
        ("More tokens need more time and fill the context window.",),
        ("Count tokens, not words, when you set a limit.",),
    ),
    Topic(
        "a tokenizer|the tokenizer|tokenization",
        ("A tokenizer cuts text into tokens and gives each one a number.",),
        ("With a larger vocabulary a text needs fewer tokens.",),
        ("Always use the tokenizer that belongs to the model.",),
    ),
    Topic(
        "logits|a logit|the logits",
        ("Logits are the raw scores that a model gives to every token. softmax turns them into probabilities.",),
        ("A higher logit means a more probable token.",),
        ("Look at the logits when you want to know what a penalty did.",),
    ),
    Topic(
        "greedy decoding|greedy sampling|greedy search",
        ("Greedy decoding always takes the most probable token. it is the same as temperature 0.",),
        ("Greedy decoding gives the same text every time, but it can repeat itself.",),
        ("Use greedy decoding when you want one repeatable answer.",),
    ),
    Topic(
        "mirostat|Mirostat",
        ("Mirostat is a sampler that keeps the surprise of the text near a target value.",),
        ("A higher target makes the text more surprising.",),
        ("Use mirostat instead of top-k and top-p, not together with them.",),
    ),
    Topic(
        "DRY|the DRY sampler|dry_multiplier",
        ("DRY is a penalty for repeated sequences: it lowers a token that would continue a phrase which already occurred.",),
        ("A higher DRY multiplier breaks loops more strongly.",),
        ("Use DRY when a model repeats whole sentences.",),
    ),
    Topic(
        "XTC|the XTC sampler|xtc_probability",
        ("XTC sometimes removes the most probable tokens, so that the text becomes more surprising.",),
        ("A higher XTC probability removes the top choices more often.",),
        ("Use XTC for creative text, never for facts.",),
    ),
    Topic(
        "a GGUF file|GGUF|gguf",
        ("GGUF is a file format that holds the weights, the tokenizer and the settings of a model in one file.",),
        ("A GGUF file can be loaded by llama.cpp and the tools built on it.",),
        ("Choose a GGUF file whose size fits into your memory.",),
    ),
    Topic(
        "a preset|presets",
        ("A preset is a named set of parameters, such as legal-summary or creative-chat.",),
        ("A preset changes many settings at once.",),
        ("Keep presets in files under version control, so that others get the same results.",),
    ),
)  # fmt: skip

# Pairs that people confuse: (first, second, answer)
COMPARISONS = (
    ("temperature", "top-p", "Temperature reshapes the distribution, while top-p limits the group of tokens from which one is drawn."),
    ("top-k", "top-p", "Top-k keeps a fixed number of tokens, while top-p keeps as many as are needed to reach the probability p."),
    ("the frequency penalty", "the presence penalty", "The frequency penalty grows with every occurrence of a token, while the presence penalty is applied once, however often it occurred."),
    ("the frequency penalty", "the repetition penalty", "The frequency penalty grows linearly with the number of occurrences, while the repetition penalty grows exponentially."),
    ("max tokens", "the context window", "Max tokens limits what the model may write, while the context window limits the prompt and the output together."),
    ("weights", "biases", "Weights multiply the inputs, while biases are added to the sum. both are learned."),
    ("parameters", "hyperparameters", "Parameters such as weights and biases are learned, while hyperparameters are chosen by people."),
    ("fine-tuning", "PEFT", "Fine-tuning adapts all weights, while PEFT freezes most of them and updates a small part."),
    ("top-p", "min-p", "Top-p keeps tokens until their probabilities reach p, while min-p removes tokens that are too unlikely compared with the best one."),
    ("a stop sequence", "max tokens", "A stop sequence ends the output when a certain text appears, while max tokens ends it after a number of tokens."),
    ("the learning rate", "the batch size", "The learning rate is the size of a training step, while the batch size is the number of examples in it."),
    ("quantization", "fine-tuning", "Quantization makes the numbers of a model simpler, while fine-tuning trains them further."),
)  # fmt: skip

MEANING_QUESTIONS = (
    "[what is|What is|What are|what's|What does] {topic}[?|]",
    "[What does|what does] {topic} [do|mean|control][?|]",
    "[Explain|explain|Please explain|Can you explain|Describe|Define] {topic}[.|?|]",
    "[How does|how does] {topic} work[?|]",
    "[Tell me|tell me] [about|something about|what you know about] {topic}[.|]",
    "[What is meant by|What do people mean by|What is the meaning of|Give me a definition of] {topic}[?|]",
    "[What is|What's] {topic} [in an LLM|in a language model|good for|for]?",
    "[I do not understand|I don't know what is meant by] {topic}[.|]",
    "[In one sentence, what|In short, what|In simple words, what] is {topic}?",
    "{topic}[?|]",
    "[What exactly is|What on earth is|So what is|Now, what is|What actually is] {topic}?",
    "[Define|Describe|Summarise] {topic} [in one sentence|briefly|in plain words|for a child].",
    "[I have heard|I read|People talk] about {topic}[. What is it?|, but what does it mean?|. Explain it.]",
    "[Could you|Can you|Would you] [tell me|explain to me|say] what {topic} [is|means|does]?",
    "[I would like|I want|I need] to [know|learn|understand] what {topic} [is|means|does][.|]",
    "[What role does|What part does] {topic} play?",
    "[meaning|definition|explanation] of {topic}",
    "{topic}: [what is that|what does it do|please explain][?|]",
    "[What|Which setting] is [known as|called] {topic}?",
    "[What do I need|Why do models have|What is the purpose of|What is the point of] {topic}[ for|]?",
    "[Help me with|Teach me|Show me|Help me learn] {topic}[.|, please.|]",
    "[Remember|Remind me of|Repeat for me|Once more]: {topic}[.|?]",
    "[I saw|I found|There is|They mention] {topic} in [a file|the manual|a list|my program][. What is that?|; what is it?|. Explain.|, what does it do?]",
    "[Give|Write|Say] [me|us|a child|my friend] [the idea|the meaning|a summary|the main point] of {topic}[.|, please.]",
    "[And|Also,|Next:|But] [what about|how about|what of] {topic}?",
    # Whatever stands around it: the parameter is what the question is about.
    "{noise} {topic}[?|.|]",
    "{noise} {topic} {noise2}[?|.]",
    "{noise}: {topic}[?|.|]",
)
EFFECT_QUESTIONS = (
    "[What happens|what happens] if [I raise|I lower|I change|I increase] {topic}?",
    "[How does|How do] {topic} [change|affect|influence] the [output|text|result]?",
    "What [is the effect of|changes with|effect has] {topic}?",
    "[What happens|What do I get] with a [high|low|large|small] {topic}?",
    "Why is {topic} important?",
    "Give me an example [of|for] {topic}.",
    "[What if|What happens when] {topic} is [too high|too low|very large|very small|changed]?",
    "[Does|How much does] {topic} [matter|change anything]?",
    "[Tell me|Describe|Show me] the effect of {topic}.",
)
ADVICE_QUESTIONS = (
    "[What is a good value for|Which value should I use for|How should I set|How do I choose] {topic}?",
    "When should I use {topic}?",
    "[What do you recommend for|Any advice on|What is the best setting for] {topic}?",
    "[How high|How low] should {topic} be?",
    "[Which|What] {topic} [should I choose|do you suggest|is best]?",
    "[Give me a tip|Some advice|A hint|A rule of thumb] [on|for|about] {topic}[, please|][.|]",
)
COMPARISON_QUESTIONS = (
    "What is the difference between {first} and {second}?",
    "[How does|How do] {first} differ from {second}?",
    "{first} [or|vs|versus] {second}?",
    "Compare {first} [and|with] {second}.",
    "Is {first} the same as {second}?",
    "[Explain|Describe|Tell me] the difference between {first} and {second}.",
    "[I mix up|I confuse] {first} and {second}.",
    "[Are|Is] {first} and {second} [the same|different]?",
)
# What people write around a question.
BEFORE = (
    "Quick question: ",
    "hey, ",
    "Hello! ",
    "Please: ",
    "I am new to this. ",
    "Sorry to ask, but ",
    "One more thing: ",
    "Now tell me: ",
)
AFTER = (
    " Thanks!",
    " Please.",
    " Thank you.",
    " Be brief.",
    " I am a beginner.",
    " In an LLM, I mean.",
    " Short answer, please.",
)
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You explain the parameters of language models[ in plain words|].",
    "Answer in one to three sentences.",
    "Answer accurately and briefly. Say so when you do not know.",
    "You are a [patient|friendly] teacher.",
)


def messages(rng: random.Random) -> list[dict[str, str]]:
    """One to three questions about parameters, each with an answer of one to three sentences."""
    return [message for _ in range(rng.choice((1, 1, 2, 3))) for message in exchange(rng)]


def exchange(rng: random.Random) -> list[dict[str, str]]:
    """One question and its answer."""
    if rng.random() < 0.15:
        question, answer = _comparison(rng)
    else:
        question, answer = _about(rng, rng.choice(TOPICS))
    if rng.random() < 0.6:
        question = sentence_case(question)
    if rng.random() < 0.12:
        question = rng.choice(BEFORE) + question
    if rng.random() < 0.12 and question[-1] in ".?":
        question += rng.choice(AFTER)
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": sentence_case(answer)},
    ]


def _about(rng: random.Random, topic: Topic) -> tuple[str, str]:
    # Meaning is asked most often, and an answer may go on with what the value does.
    questions, answers = rng.choice(
        (
            (MEANING_QUESTIONS, topic.meaning),
            (MEANING_QUESTIONS, topic.meaning),
            (EFFECT_QUESTIONS, topic.effect),
            (ADVICE_QUESTIONS, topic.advice),
        )
    )
    slots = {
        "topic": rng.choice(topic.names.split("|")),
        "noise": copying.common_words(rng),
        "noise2": copying.common_words(rng),
    }
    question = expand(rng.choice(questions), slots, rng)
    answer = rng.choice(answers)
    if answers is topic.meaning and rng.random() < 0.3:
        answer += " " + rng.choice(topic.effect)
    return question, expand(answer, {}, rng)


def _comparison(rng: random.Random) -> tuple[str, str]:
    first, second, answer = rng.choice(COMPARISONS)
    if rng.random() < 0.5:
        first, second = second, first
    slots = {"first": first, "second": second}
    return expand(rng.choice(COMPARISON_QUESTIONS), slots, rng), expand(answer, {}, rng)


def system_prompt(rng: random.Random) -> str:
    """A system prompt that fits such questions."""
    return expand(rng.choice(SYSTEM_PROMPTS), {}, rng)
