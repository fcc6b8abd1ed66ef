"""Short stories: a small cast, a beginning, a problem, a turn and an end, in several moods."""

# Word lists are easier to read and to extend as text.
# ruff: noqa: SIM905

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import names
from grammar import expand, prose
from story_plots import (
    DIALOGUE,
    ENDINGS,
    HABITS,
    MOODS,
    OPENINGS,
    PLOTS,
    SETTINGS,
)

ANIMALS = (
    "fox mouse bear rabbit owl cat dog hedgehog frog duck turtle squirrel goat pony penguin wolf "
    "lion elephant snail crow badger otter donkey sparrow beaver goose monkey lamb mole tiger"
).split()
PEOPLE_MALE = "boy king knight baker fisherman wizard shepherd farmer pirate prince tailor".split()
PEOPLE_FEMALE = "girl queen witch princess miller gardener sailor painter teacher weaver".split()
CREATURES = "dragon robot giant ghost elf troll unicorn dwarf".split()

MALE_NAMES = (
    "Tom Ben Max Oscar Felix Leo Hugo Finn Sam Otto Jasper Milo Theo Barnaby Rufus Pip Bruno "
    "Arlo Edgar Casper Ned Toby Oliver Henry Jonas Emil Karim Kenji Mateo Idris"
).split()
FEMALE_NAMES = (
    "Anna Mia Lily Rosa Ella Nora Clara Ruby Hazel Ivy Daisy Luna Greta Emma Zoe Tilly Maya Ada "
    "Poppy Olive Stella Freya Lucy Alice Wilma Amina Yuki Lena Ines Sofia"
).split()

ADJECTIVES = (
    "small brave shy clever lazy kind curious grumpy young old clumsy cheerful quiet lonely proud "
    "gentle hungry tiny big stubborn sleepy patient careful silly honest restless forgetful polite "
    "red grey white brown friendly nervous"
).split()

PLACES = {
    "forest": ("the tall oak", "the stream", "the mossy rocks", "the hollow tree", "the clearing"),
    "village": ("the well", "the old mill", "the market", "the stone bridge", "the bakery"),
    "valley": ("the river", "the meadow", "the apple trees", "the wooden gate", "the pond"),
    "harbour": ("the lighthouse", "the pier", "the fishing boats", "the sea wall", "the beach"),
    "castle": ("the tower", "the kitchen", "the rose garden", "the great hall", "the moat"),
    "town": ("the clock tower", "the library", "the park", "the school", "the station"),
    "mountains": ("the cave", "the waterfall", "the narrow path", "the pine trees", "the lake"),
    "island": ("the palm trees", "the sandy bay", "the cliffs", "the old boat", "the lagoon"),
    "desert": ("the oasis", "the red dunes", "the dry well", "the tents", "the great rock"),
    "farm": ("the barn", "the haystack", "the fence", "the vegetable garden", "the duck pond"),
    "city": ("the tall houses", "the tram stop", "the market square", "the rooftop", "the canal"),
    "jungle": ("the wide river", "the giant tree", "the stone temple", "the vines", "the swamp"),
    "swamp": ("the reeds", "the muddy path", "the willow", "the old hut", "the black water"),
    "space station": ("the round window", "the engine room", "the long corridor", "the little "
                      "greenhouse", "the landing deck"),
}  # fmt: skip
OBJECTS = (
    "silver key|red kite|wooden flute|golden ring|blue scarf|little bell|old map|warm hat|"
    "glass marble|shiny coin|tin whistle|small lantern|wooden boat|green umbrella|music box|"
    "leather book|paper star|yellow ball|copper pot|brass compass|woollen blanket|white shell"
).split("|")
FOODS = (
    "apples|honey cakes|warm bread|berries|carrot soup|nuts|pancakes|cheese|plum jam|roasted "
    "chestnuts|cherry pie|porridge|ginger biscuits|noodles|pears|pumpkin soup"
).split("|")
SEASONS = ("spring", "summer", "autumn", "winter")
COUNTS = ("two", "three", "four", "five", "seven", "ten")
WEATHER = ("sunny", "windy", "rainy", "foggy", "snowy", "cold", "warm", "cloudy", "stormy")

PRONOUNS = {
    "male": ("he", "him", "his", "himself"),
    "female": ("she", "her", "her", "herself"),
}


@dataclass(frozen=True)
class Character:
    """Somebody in a story; `name` may be one that the training set composes from syllables."""

    name: str
    kind: str
    adjective: str
    gender: str

    def slots(self, prefix: str) -> dict[str, str]:
        he, him, his, himself = PRONOUNS[self.gender]
        return {
            f"{prefix}name": self.name,
            f"{prefix}kind": self.kind,
            f"{prefix}adj": self.adjective,
            f"{prefix}he": he,
            f"{prefix}him": him,
            f"{prefix}his": his,
            f"{prefix}himself": himself,
        }


@dataclass(frozen=True)
class Story:
    """A told story and the facts that a prompt may ask for."""

    text: str
    hero: Character
    friend: Character
    place: str
    mood: str
    thing: str


UNKNOWN_NAMES, UNKNOWN_KINDS = 0.06, 0.02
"""Shares of composed words in stories that nobody asked for."""


def character(
    rng: random.Random,
    without: Character | None = None,
    unknown_names: float = UNKNOWN_NAMES,
    unknown_kinds: float = UNKNOWN_KINDS,
) -> Character:
    """A new character; differs in name and kind from the one given."""
    while True:
        gender = rng.choice(("male", "female"))
        people = PEOPLE_MALE if gender == "male" else PEOPLE_FEMALE
        kind = rng.choice(rng.choice((ANIMALS, ANIMALS, people, CREATURES)))
        if rng.random() < unknown_kinds:
            kind = names.word(rng).lower()
        known = MALE_NAMES if gender == "male" else FEMALE_NAMES
        name = names.word(rng) if rng.random() < unknown_names else rng.choice(known)
        if without is None or (name != without.name and kind != without.kind):
            return Character(name, kind, rng.choice(ADJECTIVES), gender)


def tell(rng: random.Random, hero: Character | None = None) -> Story:
    """Compose one story of about 90 to 250 words, about the hero if one is given."""
    hero = hero or character(rng)
    friend = character(rng, without=hero)
    place, mood = rng.choice(list(PLACES)), rng.choice(MOODS)
    thing = rng.choice(OBJECTS)
    slots = _slots(rng, hero, friend, place, thing)
    plot = rng.choice(PLOTS[mood])
    middle = [rng.choice(options) for options in plot]
    beginning = _beginning(rng, mood, friend_comes_later="{fkind}" in " ".join(middle))
    if rng.random() < 0.4:
        middle.insert(rng.randrange(2, len(middle)), rng.choice(DIALOGUE))
    ending = [rng.choice(ENDINGS[mood])]
    paragraphs = [beginning + middle[:1], middle[1:-1], middle[-1:] + ending]
    if rng.random() < 0.6:
        paragraphs = [list(itertools.chain.from_iterable(paragraphs))]
    text = "\n\n".join(prose(paragraph, slots, rng) for paragraph in paragraphs if paragraph)
    return Story(text, hero, friend, place, mood, thing)


def _beginning(rng: random.Random, mood: str, friend_comes_later: bool) -> list[str]:
    """Who and where. A friend whom the plot introduces must not be known before."""

    def pick(options: tuple[str, ...]) -> str:
        return rng.choice(
            [line for line in options if not (friend_comes_later and "{fname}" in line)]
        )

    sentences = [pick(OPENINGS)]
    if rng.random() < 0.6:
        # One introduction is enough here, too.
        friend_comes_later = friend_comes_later or "{fname}" in sentences[0]
        sentences.append(pick(HABITS))
    if rng.random() < 0.5:
        sentences.append(rng.choice(SETTINGS[mood]))
    return sentences


def _slots(
    rng: random.Random, hero: Character, friend: Character, place: str, thing: str
) -> dict[str, str]:
    spot, other_spot, far_spot = rng.sample(PLACES[place], 3)
    food, other_food = rng.sample(FOODS, 2)
    return {
        **hero.slots(""),
        **friend.slots("f"),
        "place": place,
        "spot": spot,
        "spot2": other_spot,
        "spot3": far_spot,
        "thing": thing,
        "food": food,
        "food2": other_food,
        "season": rng.choice(SEASONS),
        "weather": rng.choice(WEATHER),
        "count": rng.choice(COUNTS),
    }


ASK = (
    "[Tell me|Write|Write me|Please tell me|Please write|Can you tell me|I want|I would like|"
    "Make up|Give me|Could you write|Invent|tell me|write|I'd like to hear|Create|Tell us]"
)
STORY_WORDS = "[story|story|short story|little story|tale|bedtime story|short tale]"
OPEN_REQUESTS = (
    f"{ASK} a(n) {STORY_WORDS}[.||!]",
    f"{ASK} a(n) {STORY_WORDS} [set in|that happens in|in] a(n) {{place}}[.|]",
    f"{ASK} a(n) {{mood}} {STORY_WORDS}[.|]",
    "[story|Story|a story|tell me a story|Another story, please.|One more story!|write a story]",
)
# Every one of them says who the hero is.
HERO_REQUESTS = (
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{kind}}[.||!]",
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{adj}} {{kind}}[.||!]",
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{adj}} {{kind}}[.||!]",
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{adj}} {{kind}} [named|called] {{name}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{kind}} [named|called] {{name}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about {{name}} the {{kind}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about {{name}}, a(n) {{adj}} {{kind}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about {{name}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{kind}} and a(n) {{fkind}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about {{name}} [and|the {{kind}} and] {{fname}}[.|]",
    f"{ASK} a(n) {{mood}} {STORY_WORDS} about a(n) {{kind}}[.|]",
    f"{ASK} a(n) {{mood}} {STORY_WORDS} about a(n) {{adj}} {{kind}} in a(n) {{place}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{kind}} and a(n) {{thing}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} about a(n) {{kind}} in a(n) {{place}}[.|]",
    f"{ASK} a(n) {STORY_WORDS} with a(n) {{kind}} as the hero[.|]",
    f"{ASK} a(n) {STORY_WORDS}[.|:] [The hero is|It is about] a(n) {{adj}} {{kind}}[.|]",
    "[a|A|one|One] [story|short story] about a(n) {adj} {kind}[, please|][.|]",
    "[Tell me|I want to hear] about a(n) {adj} {kind}[.|]",
    "a(n) {kind}, a(n) {fkind} and a(n) {thing}",
)
TITLES = (
    "The {thing}",
    "The {adj} {kind}",
    "{name} and the {thing}",
    "{name} the {kind}",
    "{name}",
    "The {kind} and the {fkind}",
    "A(n) {mood} [day|story] in the {place}",
    "The {kind} of the {place}",
)
SYSTEM_PROMPTS = (
    "You are a creative storyteller.",
    "You are a [friendly|cheerful|creative|helpful] [assistant|storyteller|writer].",
    "You tell [short|lively|gentle] stories[ for children|].",
    "You are a helpful assistant.",
    "Write vivid, playful prose.",
    "You are a creative [writing partner|companion]. [Surprise the reader.|Be playful.|]",
    "Answer in a lively and creative way.",
    "You are a creative companion. Be playful.",
    "You are a creative companion. Be playful.",
)


def requested(rng: random.Random) -> tuple[str, Story]:
    """A user message that asks for a story, and the story.

    Many heroes have names and even kinds that nobody heard of: they can only be copied.
    """
    if rng.random() < 0.2:
        story = tell(rng)
        return _request(rng, OPEN_REQUESTS, story), story
    story = tell(rng, character(rng, unknown_names=0.35, unknown_kinds=0.2))
    return _request(rng, HERO_REQUESTS, story), story


def title(rng: random.Random, story: Story) -> str:
    """A title, which is also what somebody may ask for in a word or two."""
    return _request(rng, TITLES, story)


def _request(rng: random.Random, templates: tuple[str, ...], story: Story) -> str:
    slots = {
        **story.hero.slots(""),
        **story.friend.slots("f"),
        "place": story.place,
        "mood": story.mood,
        "thing": story.thing,
    }
    return expand(rng.choice(templates), slots, rng)


def split_beginning(rng: random.Random, story: Story) -> tuple[str, str]:
    """Cut a story after a few words: the user types the first part, the model goes on."""
    words = story.text.split(" ")
    if story.text.startswith("Once upon a time") and rng.random() < 0.5:
        cut = 4
    else:
        cut = rng.randrange(3, min(45, len(words) - 30))
    beginning = " ".join(words[:cut])
    if rng.random() < 0.3:
        beginning = beginning.rstrip(",")
    if rng.random() < 0.15:
        beginning += "..."
    if rng.random() < 0.1:
        beginning = beginning.lower()
    return beginning, " ".join(words[cut:])
