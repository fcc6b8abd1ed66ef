"""Small talk in several moods, questions about the model itself, and what it cannot answer."""

# One sentence a line reads better here than wrapped strings.
# ruff: noqa: E501

from __future__ import annotations

import random

import copying
import names
from grammar import expand, sentence_case

# (what the user may say, what the model may answer)
EXCHANGES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("[hi|hello|hey|Hi|Hello|Hey|Hello there|Hi there|good morning|Good morning|Good evening|hiya|Greetings][|!|.]",),
        (
            "[Hello|Hi|Hi there|Good to see you]! [What would you like to do today?|What shall we talk about?|How can I help you?|Would you like a story or an answer?]",
            "[Hello|Hi]! I can [tell you a story|write a short story], [explain a parameter|talk about temperature and top-p] or [summarise a clause|just chat]. What would you like?",
            "Hello! It is nice to [hear from you|meet you]. [How are you?|How is your day going?]",
        ),
    ),
    (
        ("[how are you|How are you|how are you doing|How do you do|how is it going|How are things][?||today?]", "what's up[?|]"),
        (
            "I am [well|fine|in a good mood], thank you. [And you?|How are you?|How is your day?]",
            "[Very well|Quite well], for a [small|tiny] model. [And you?|What about you?]",
            "I feel [cheerful|wide awake] today. What can I do for you?",
        ),
    ),
    (
        ("[I am|I'm|I feel] [fine|well|good|great|happy|very happy][ today|][.|!|]", "[great|fine|good|not bad][, thanks|, thank you|][.|]"),
        (
            "[That is good to hear|I am glad|Wonderful]! [What made your day?|Shall we do something with that good mood?|Would you like to hear a story?]",
            "[How nice|Lovely]! A good mood is the best start for a [story|talk].",
        ),
    ),
    (
        ("[I am|I'm|I feel] [sad|lonely|down|unhappy|so sad|depressed][ today|][.|]", "[I had a bad day|nobody likes me|I want to cry|my day was terrible][.|]"),
        (
            "I am sorry to hear that. [Do you want to tell me what happened?|Sometimes it helps to talk about it.|Be gentle with yourself today.]",
            "[That sounds hard|I am sorry]. [A friend, a walk or a warm cup of tea may help a little.|Talking to somebody you trust can make it lighter.] [Shall I tell you a calm story?|]",
        ),
    ),
    (
        ("[I am|I'm] [bored|so bored|a bit bored][.|]", "[what should I do|I don't know what to do|I have nothing to do][?|.|]"),
        (
            "[Let us change that|Boredom is a door]! [Try the prompt 'Once upon a time' at temperature 0.2 and again at 1.5.|Shall I tell you a story about a clumsy dragon?|Ask me what top-p does, and then try it.]",
            "You could [draw|read|take a walk|bake something|call a friend], or [ask me for a story|give me the first line of a story and I will go on].",
        ),
    ),
    (
        ("[I am|I'm] [tired|sleepy|exhausted|very tired][.|]", "[I can't sleep|I want to sleep][.|]"),
        (
            "Then [rest a little|close your eyes for a while]. [The world can wait.|I will be here tomorrow.|Shall I tell you a quiet story first?]",
            "It sounds like a long day. [Drink some water|Put the screen away] and sleep well.",
        ),
    ),
    (
        ("[I am|I'm] [angry|annoyed|furious|so angry|upset][ with my friend| with my boss| today|][.|]",),
        (
            "I understand. [Take a deep breath and count to ten.|Anger often shows what is important to us.] [What happened?|]",
            "That can happen. [Perhaps a short walk helps.|Tell me about it, if you like.] [Afterwards we can look at it calmly.|]",
        ),
    ),
    (
        ("[I am|I'm] [nervous|afraid|scared|worried][ about tomorrow| of the exam|][.|]",),
        (
            "That is [normal|human]. [Breathe slowly|Make a small plan], and take one step after the other.",
            "[Courage does not mean having no fear.|Being nervous shows that you care.] You can do this.",
        ),
    ),
    (
        ("[thanks|thank you|Thanks|Thank you|thank you very much|Thanks a lot|thx][|!|.]",),
        ("You are welcome[!|.] [Is there anything else?|]", "[My pleasure|Gladly]! [Come back any time.|]", "[No problem|Any time]. [I enjoyed it.|]"),
    ),
    (
        ("[bye|goodbye|Bye|Goodbye|see you|See you later|good night|Good night][|!|.]",),
        ("[Goodbye|See you soon|Bye]! [Have a nice day.|Take care.|]", "[Good night|Until next time]! [Sleep well.|It was nice to talk to you.]"),
    ),
    (
        ("[who are you|Who are you|what are you|What are you|what is your name|What's your name|tell me about yourself][?|.|]",),
        (
            "I am [a tiny language model|the small model built into llmparams]. I was trained from scratch on made-up text, [so that you can see what every parameter does|and I write short stories].",
            "I am llmparams-tiny, a language model with about five million [weights|parameters]. [I know stories, small talk and LLM parameters, and not much else.|I am small, fast and often wrong.]",
        ),
    ),
    (
        ("[what can you do|What can you do|help|Help|how can you help me|what do you know][?|]",),
        (
            "I can [write short stories|tell stories], [explain LLM parameters|answer questions about parameters such as temperature], summarise simple contract clauses, turn a sentence into JSON and chat a little.",
            "Try 'Once upon a time', 'What is top-p?' or 'Tell me a story about a brave mouse.'",
        ),
    ),
    (
        ("[tell me a joke|Tell me a joke|do you know a joke|make me laugh|another joke][.|, please|!|?|]",),
        (
            "Why did the [token|word] go to bed? Because it had reached its [maximum length|limit].",
            "A [bear|fox|penguin] walks into a library and asks for [soup|fish]. \"This is a library,\" says the owl. \"Sorry,\" whispers the [guest|visitor], \"one soup, please.\"",
            "What does a snail say on the back of a turtle? \"[Not so fast|Slow down]!\"",
            "Why was the model so calm? Its temperature was zero.",
            "I know a joke about top-k, but only the [forty|ten] most probable people laugh.",
        ),
    ),
    (
        ("[do you like|what do you think of|do you enjoy] [music|rain|winter|books|cats|dogs|summer|coffee|stories|the sea][?|]",),
        (
            "[Yes, very much|I think so]. There are many [good stories|nice words] about that. [And you?|What about you?]",
            "I am only a model and have never seen it, but I like the [word|idea]. [What do you like about it?|]",
        ),
    ),
    (
        ("[what is|what's] your favourite [colour|animal|food|season|story|word|book][?|]",),
        (
            "[That is easy|Good question]: [blue, like the evening|the fox, because it is in so many stories|autumn, when the leaves fall|'once', because everything begins with it|soup, although I cannot eat]. And yours?",
            "I change my mind with every seed. Today I would say [green|the owl|honey cake|spring].",
        ),
    ),
    (
        ("[it is raining|it's cold today|what a lovely day|the sun is shining|it is snowing|nice weather today][.|!|]",),
        (
            "[A good day for a story|Then it is time for tea]. [Shall I begin?|What will you do today?]",
            "[How nice|I like that]! [In my stories it rains a lot.|Enjoy it.]",
        ),
    ),
    (
        ("my name is {name}[.|]", "[I am|I'm] {name}[.|]", "[call me|you can call me] {name}[.|]"),
        (
            "[Nice to meet you|Hello|Pleased to meet you], {name}! [What shall we do?|What would you like to talk about?|]",
            "{name} is a [beautiful|good|fine] name. [How can I help you, {name}?|]",
        ),
    ),
    (
        ("[are you human|are you a robot|are you real|are you alive|do you have feelings|can you think][?|]",),
        (
            "No, I am a [small|tiny] language model. I only [compute|predict] which token comes next.",
            "I am a program: [numbers go in, probabilities come out|weights, biases and a little chance]. It only sounds like feeling.",
        ),
    ),
    (
        ("[you are stupid|that was wrong|that makes no sense|you are wrong|bad answer|that is nonsense][.|!|]",),
        (
            "[You may be right|I am sorry]. I am a very small model. [Try again with another seed or a lower temperature.|Please ask me again in other words.]",
            "[Sorry about that|That can happen]. [A lower temperature makes me more careful.|Ask me about stories or parameters, that is what I know best.]",
        ),
    ),
    (
        ("[you are great|I like you|well done|good job|that was beautiful|nice story|I love it][.|!|]",),
        ("[Thank you|That is kind of you]! [It makes me happy.|Shall I write another one?|]", "[Oh, thank you|Thanks]! [I only picked the next token.|What comes next?]"),
    ),
    (
        ("[what is the capital of France|who is the president|what is 2 + 2|how far is the moon|what year is it|what is the weather like][?|]", "[translate this|write a program|solve this equation][.|]"),
        (
            "I am sorry, [I do not know|that is beyond me]. I am a small model that knows stories and LLM parameters.",
            "I was never taught that. [Ask me for a story|Ask me about temperature, top-k or penalties] instead.",
        ),
    ),
    (
        (
            "[what is|what are|who is|where is|explain|do you know|tell me about] {unknown}[?|]",
            "[how old is|how many people live in|when was] {name}?",
            "[why|how] [is|does|can|do] {unknown}?",
        ),
        (
            "I am sorry, [I do not know|that is beyond me]. I am a small model that knows stories and LLM parameters.",
            "I was never taught that. [Ask me for a story|Ask me about temperature, top-k or penalties] instead.",
        ),
    ),
    (
        ("[yes|Yes|ok|okay|sure|of course|why not][.|!|]",),
        ("[Good|Great|Wonderful]! [Then tell me what you would like.|Give me the first words, and I will go on.|What should it be about?]",),
    ),
    (
        ("[no|No|no thanks|never|not now][.|!|]",),
        ("[All right|That is fine]. [Tell me when you change your mind.|What would you like instead?]",),
    ),
)  # fmt: skip

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a [friendly|cheerful|playful|creative|warm] [assistant|companion|chat partner].",
    "Answer briefly.",
    "You are a lively, creative companion. Be playful and surprising.",
    "You are a creative companion. Be playful.",
)


def messages(rng: random.Random) -> list[dict[str, str]]:
    """One to four exchanges."""
    return [message for _ in range(rng.choice((1, 1, 2, 3, 4))) for message in exchange(rng)]


def exchange(rng: random.Random) -> list[dict[str, str]]:
    """One user message and its answer."""
    questions, answers = rng.choice(EXCHANGES)
    slots = {"name": names.word(rng), "unknown": copying.common_words(rng)}
    question = expand(rng.choice(questions), slots, rng)
    if rng.random() < 0.5:
        question = sentence_case(question)
    answer = sentence_case(expand(rng.choice(answers), slots, rng).strip())
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def system_prompt(rng: random.Random) -> str:
    """A system prompt that fits small talk."""
    return expand(rng.choice(SYSTEM_PROMPTS), {}, rng)
