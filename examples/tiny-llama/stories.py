"""A generator of simple short stories: the whole text the example model was trained on.

Every story is drawn from hand-written templates by a seeded generator, so the text needs no
outside source and is under the licence of this repository (Apache-2.0). A template is plain
text with two kinds of hole:

* ``{slot}``    the value that this story fixed for the slot (a name, a colour, a place ...);
* ``[a|b|c]``   one of the alternatives, chosen anew each time; alternatives nest.

Slots keep a story consistent (the fox that loses a red kite finds a red kite), alternatives keep
two stories of the same plot from reading alike.

    python stories.py --seed 7 --count 3
"""

# Templates read best one to a line.
# ruff: noqa: E501
from __future__ import annotations

import argparse
import random
from collections.abc import Iterator

HE = ("he", "him", "his")
SHE = ("she", "her", "her")

NAMES = {
    HE: ("Ben", "Tom", "Max", "Leo", "Sam", "Finn", "Jack", "Oscar", "Toby", "Hugo", "Milo", "Otto", "Felix", "Theo"),
    SHE: ("Lily", "Mia", "Anna", "Ruby", "Nora", "Ella", "Zoe", "Rosa", "Clara", "Ivy", "Daisy", "Emma", "Luna", "Tess"),
}  # fmt: skip
KINDS = (
    "fox", "bear", "rabbit", "mouse", "cat", "dog", "owl", "frog", "duck", "hedgehog", "squirrel", "turtle", "pig",
    "goat", "boy", "girl",
)  # fmt: skip
CHILDREN = {"boy": HE, "girl": SHE}
SIZES = ("little", "small", "young", "tiny")
TRAITS = ("kind", "brave", "shy", "clever", "quiet", "happy", "curious", "gentle", "proud", "busy")
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "brown", "golden", "purple", "silver")
TOYS = ("kite", "ball", "boat", "drum", "hat", "bell", "cup", "ring", "scarf", "lamp", "book", "box", "key", "coat")
FOODS = ("apple", "pear", "cake", "cookie", "plum", "carrot", "pie", "melon", "loaf of bread", "bowl of soup")
PLACES = {
    "forest": "under an old tree",
    "garden": "behind the roses",
    "hill": "beside a big stone",
    "river": "next to the bridge",
    "village": "near the well",
    "farm": "inside the barn",
    "meadow": "in the tall grass",
    "beach": "between two rocks",
    "park": "below the bench",
    "lake": "close to the water",
}
PREPOSITIONS = {
    "forest": "in", "garden": "in", "hill": "on", "river": "by", "village": "in", "farm": "on", "meadow": "in",
    "beach": "on", "park": "in", "lake": "by",
}  # fmt: skip
WEATHER = ("sunny", "rainy", "windy", "cold", "warm", "cloudy", "bright", "snowy")
TIMES = ("morning", "afternoon", "evening", "day")
FEARS = {
    "the dark": ("the moon came out and the night was full of stars", "night"),
    "the water": ("the water was warm and only came up to {his} knees", "water"),
    "the thunder": ("the thunder rolled away and the sky was blue again", "storm"),
    "the big dog": ("the big dog sat down and wagged its tail", "dog"),
    "high places": ("{he} could see the whole {place} from the top", "tall tree"),
}
SKILLS = {
    "swim": "across the lake", "sing": "a long song", "dance": "all night long", "climb": "to the top of the tree",
    "paint": "a picture of the sea", "bake": "a sweet cake", "read": "a whole book", "whistle": "a happy tune",
}  # fmt: skip
HELPERS = ("grandmother", "grandfather", "mother", "father", "teacher", "uncle", "aunt")
PLANTS = ("flower", "apple tree", "pumpkin", "rose", "bean", "sunflower")
BUILDS = {"house": "wood", "bridge": "stones", "boat": "wood", "nest": "straw", "tower": "sand", "snowman": "snow"}

OPENINGS = (
    "Once upon a time there was a {size} {kind} named {name}. {Name} lived {at_place}{home}.",
    "Once upon a time there was a {trait} {kind} named {name}. {He} lived {at_place}{home}.",
    "Once there was a {size} {kind} called {name} who lived {at_place}{home}.",
    "{Name} was a {trait} {size} {kind}. {He} lived {at_place}{home}.",
    "{At_place} lived a {trait} {kind}. {His} name was {name}.",
    "There was once a {size} {kind} who lived {at_place}. {His} name was {name} and {he} was very {trait}.",
)
DETAILS = (
    "{Name} had a best friend, a {fkind} named {friend}.",
    "[Every {time}|Each day] {he} [liked|loved] to play with {his} friend {friend} the {fkind}.",
    "{His} best friend was {friend}, a {ftrait} {fkind}.",
    "{He} had a {ftrait} friend called {friend}, who was a {fkind}.",
)

PLOTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "lost": (
        (
            "{Name} had a {colour} {toy}. It was {his} favourite thing in the whole world.",
            "{His} {helper} had given {him} a {colour} {toy}, and {name} took it everywhere.",
        ),
        (
            "One {weather} {time} {he} [could not find it|looked for it, but it was gone].",
            "But one {weather} {time} the {toy} was gone.",
        ),
        (
            '"Where is my {toy}?" {he} [asked|cried]. [{Name} was very sad.|{He} began to cry.|]',
            '"Oh no! I have lost my {toy}!" said {name}.',
        ),
        (
            '"Do not [cry|worry|be sad]," said {friend}. "[We will look for it together|I will help you find it]."',
            '{Friend} the {fkind} heard {him}. "I will help you look," said {friend}.',
        ),
        (
            "They looked [in the house|under the bed|behind the door] and they looked {at_place2}. "
            "[It was not there.|They did not see it.]",
            "First they went to the {place2}, but [the {toy} was not there|they found nothing].",
        ),
        (
            "Then {friend} saw something {colour} {spot}. It was the {toy}!",
            "At last {name} saw something {colour} {spot}. It was {his} {toy}!",
        ),
        (
            '"Thank you, {friend}," said {name}. "You are a good friend."',
            "{Name} gave {friend} a big hug. [They laughed and went home.|\"Thank you!\" {he} said.]",
        ),
    ),
    "share": (
        (
            "One {weather} {time} {name} found {a_food} {at_place2}. [{He} was very hungry.|It smelled very good.]",
            "One {time} {his} {helper} gave {him} {a_food}. [{Name} was very happy.|It looked very good.]",
        ),
        (
            "Just then {friend} came by. {Friend} looked [sad|tired|hungry].",
            "On the way home {he} met {friend} the {fkind}, who was sitting {spot}.",
        ),
        (
            '"[What is wrong|Why are you so sad]?" asked {name}. "I have nothing to eat," said {friend}.',
            '"I am so hungry," said {friend}. "I have not eaten all day."',
        ),
        (
            "{Name} looked at the {food}. It was not very big. [But {he} thought of {his} friend.|{He} thought for a while.]",
            "{Name} wanted to keep the {food}. [Then {he} saw how hungry {friend} was.|But {he} did not like to see a friend sad.]",
        ),
        (
            '"[Here|Come], you can have half of my {food}," {he} said.',
            '"Let us share the {food}," said {name}. "[There is enough for two|It will taste better with a friend]."',
        ),
        (
            "They sat down {spot} and ate. [It was the best {food} of all.|The {food} was sweet and good.]",
            "So they ate the {food} together and [talked until the sun went down|told each other stories].",
        ),
        (
            "The next day {friend} came back with a {colour} {toy}. \"This is for you,\" {fhe} said. \"You were kind to me.\"",
            "From then on {name} and {friend} shared everything.",
        ),
    ),
    "fear": (
        (
            "But {name} was afraid of {fear}.",
            "{Name} liked many things, but {he} did not like {fear}. [It made {him} shake.|It made {him} want to hide.]",
        ),
        (
            "One {weather} {time} {friend} wanted to go to the {place2}. \"Will you come [with me|too]?\" {fhe} asked.",
            "One {time} {friend} asked {him} to come to the {place2}.",
        ),
        (
            '"I cannot go," said {name}. "I am afraid of {fear}."',
            '{Name} looked down. "I want to come, but I am too afraid," {he} said.',
        ),
        (
            '"[Take|Hold] my hand," said {friend}. "We will be brave together."',
            '"I was afraid too," said {friend}, "but [now I am not|then I tried]. You can do it!"',
        ),
        (
            "So they went, one small step after another. [{Name} closed {his} eyes.|{Name} held on to {friend}.]",
            "{Name} took a deep breath and went along. [{His} heart beat fast.|]",
        ),
        (
            "When {name} opened {his} eyes, {fear_end}.",
            "Soon {fear_end}. [It was not so bad at all.|{Name} began to smile.]",
        ),
        (
            "\"I did it!\" {he} [shouted|said]. {He} was not afraid of {fear} any more.",
            "After that {time} {name} was never afraid of {fear} again.",
        ),
    ),
    "plant": (
        (
            "One {weather} {time} {name} found a small seed {spot}.",
            "One {time} {his} {helper} gave {name} a small seed. \"[Take good care of it|Put it in the ground]!\" said {his} {helper}.",
        ),
        (
            "{He} put the seed in the ground and gave it some water.",
            "{Name} made a little hole [in the ground|near the house] and put the seed in it.",
        ),
        (
            "Every day {he} came back to look, but nothing came up. \"[Is it asleep|Why does it not grow]?\" {he} asked.",
            "{He} waited and waited. [Nothing came up.|The ground was brown and still.]",
        ),
        (
            '"You must wait," said {friend}. "Good things take time."',
            '{Friend} the {fkind} laughed. "A seed is not a rabbit," {fhe} said. "It takes its time."',
        ),
        (
            "So {name} gave it water every {time} and [sang to it|told it stories].",
            "{Name} did not give up. When it was dry {he} gave it water, and when it was cold {he} kept it warm.",
        ),
        (
            "One {time2} there was a tiny green leaf. [It grew and grew.|Day after day it grew.]",
            "Then one {time2} something green came out of the ground. \"It is growing!\" {he} cried.",
        ),
        (
            "By the end of the summer it was a big {plant}, the most beautiful {at_place}.",
            "In the end there was a {colour} {plant}, and all the animals {at_place} came to see it.",
        ),
    ),
    "learn": (
        (
            "More than anything {name} wanted to {skill}.",
            "All the others could {skill}, but {name} could not.",
        ),
        (
            "One {weather} {time} {he} tried to {skill}, but [it went wrong|{he} fell down|everyone laughed].",
            "One {time} {he} tried, and [it went wrong|{he} had to stop]. [{Name} was sad.|]",
        ),
        (
            '"I will never learn to {skill}," said {name}.',
            '"It is too hard for me," {he} told {friend}.',
        ),
        (
            '"[Try once more|Do not give up]," said {friend}. "I will show you how."',
            '{Friend} smiled. "I could not {skill} either," {fhe} said. "You must try every day."',
        ),
        (
            "So every {time} they met {at_place2}, and {friend} showed {name} how to {skill}.",
            "The next day they went to the {place2}. {Friend} showed {him} what to do, [again and again|very slowly].",
        ),
        (
            "At first it was hard. Then it was [a little easier|not so hard]. [{Name} did not stop.|]",
            "{Name} tried [ten|five|seven|three] times, and each time it went a little better.",
        ),
        (
            "At last {name} could {skill} {skill_end}. \"Look at me!\" {he} shouted. {Friend} was very proud of {him}.",
            "Then one {time2} {he} could {skill} {skill_end}, and {his} {helper} was very proud.",
        ),
    ),
    "build": (
        (
            "One {weather} {time} {name} wanted to build a {build}.",
            "\"I will build a {build},\" said {name} one {weather} {time}.",
        ),
        (
            "{He} [got|brought] some {stuff} and began to work [alone|all by {himself}].",
            "{He} worked all day with {stuff}, [but it was too heavy|but the wind was strong].",
        ),
        (
            "But the {build} fell down. [\"Oh no!\" cried {name}.|{Name} was very angry.]",
            "When the {build} was almost done, it fell down with a loud noise.",
        ),
        (
            '{Friend} came to see. "[You need a friend for this|Two can do more than one]," said {friend}.',
            '"Can I help you?" asked {friend}. [{Name} did not want any help at first.|"Yes, please," said {name}.]',
        ),
        (
            "So {friend} held the {stuff} and {name} put it in the right place.",
            "{Friend} brought more {stuff}, and {name} [made it strong|put it all together].",
        ),
        (
            "They worked until the sun went down, and then the {build} was done.",
            "In the {time2} the {build} stood tall and strong.",
        ),
        (
            '"It is the best {build} {at_place}," said {friend}. "[And we made it together|We did it]!" said {name}.',
            "They painted it {colour}. [It was their favourite place.|Everyone came to look at the {colour} {build}.]",
        ),
    ),
    "sorry": (
        (
            "One {weather} {time} {name} and {friend} were playing with {friend}'s {colour} {toy}.",
            "{Friend} had a new {toy}. It was {colour}. \"Can I hold it?\" asked {name} one {time}.",
        ),
        (
            "{Name} was not careful, and the {toy} broke.",
            "{Name} ran too fast and fell, and the {colour} {toy} broke.",
        ),
        (
            "{Name} was afraid and hid the {toy} {spot}. \"I do not know where it is,\" {he} told {friend}.",
            "{He} did not say a word. {He} put the {toy} {spot} and ran home.",
        ),
        (
            "That night {name} could not sleep. {He} [felt bad|thought of {friend}].",
            "At home {his} {helper} asked, \"What is wrong?\" {Name} told {his} {helper} everything.",
        ),
        (
            "[The next day|In the morning] {he} went to {friend}. \"I am sorry,\" said {name}. \"I broke your {toy}.\"",
            "Then {name} knew what to do. {He} went to {friend} and told {fhim} the truth about the {toy}.",
        ),
        (
            '{Friend} was sad, but then {fhe} smiled. "Thank you for telling me," {fhe} said.',
            '"I was angry," said {friend}, "but [you told me the truth|you are still my friend]."',
        ),
        (
            "Together they mended the {toy}, and it was [as good as new|even better than before].",
            "{Name} gave {friend} {his} own {toy2}. [They were friends again.|Then they played until it was dark.]",
        ),
    ),
    "gift": (
        (
            "Soon it would be {friend}'s birthday. {Name} wanted to give {fhim} a {colour} {toy}.",
            "One {time} {friend} said, \"Tomorrow is my birthday!\" {Name} wanted to give {fhim} something nice.",
        ),
        (
            "But {name} had no money. [What could {he} do?|{He} sat down {spot} and thought.]",
            "{He} went to the market, but everything cost too much. [{Name} was sad.|]",
        ),
        (
            '"You can make something," said {his} {helper}. "[A gift from the heart is the best gift|I will help you]."',
            '{He} asked {his} {helper}. "Make it yourself," said {his} {helper}.',
        ),
        (
            "So {name} worked all {time2}. {He} made a {colour} {toy} with {his} own hands.",
            "{Name} went to the {place2} and found all {he} needed. Then {he} made a {colour} {toy}.",
        ),
        (
            "The next day {name} put the {toy} in a [big|small] box and went to {friend}'s house.",
            "On the birthday all the friends came with big gifts. {Name} felt [shy|small].",
        ),
        (
            '{Friend} opened the box. "A {colour} {toy}!" {fhe} cried. "[It is beautiful|I love it]!"',
            'When {friend} saw the {colour} {toy}, {fhe} [laughed|jumped] with joy.',
        ),
        (
            '"You made it for me," said {friend}. "It is the best gift of all." [{Name} smiled.|Then they all ate cake.]',
            "Then they all danced and ate {food_plain} until the {time_end}.",
        ),
    ),
    "storm": (
        (
            "One {time} the sky {at_place} turned black, and a [big|great|terrible] storm came.",
            "One {weather} {time} {name} was {at_place2} when a big storm came.",
        ),
        (
            "The wind was so strong that the trees shook. [{Name} ran as fast as {he} could.|Rain fell on {his} head.]",
            "The rain fell and fell. [{Name} was wet and cold.|There was water everywhere.]",
        ),
        (
            "Then {he} heard a small voice. \"Help! Help!\" It was {friend}, who was stuck {spot}.",
            "{Name} saw {friend} the {fkind} {spot}. {Friend} could not move. \"Please help me!\" {fhe} cried.",
        ),
        (
            '"[Do not be afraid|Hold on], I am coming!" shouted {name}.',
            "{Name} was afraid, but {he} did not run away.",
        ),
        (
            "{He} took {his} {colour} {toy2} and [held it out to {friend}|used it to pull {friend} out].",
            "{He} pulled and pulled, [and at last {friend} was free|until {friend} was free].",
        ),
        (
            "They ran to {name}'s house and sat by the fire. [{Friend} drank some warm milk.|Soon they were warm and dry.]",
            "Together they hid in an old barn until the storm was over.",
        ),
        (
            '"You saved me," said {friend}. "[You are so brave|I will never forget it]."',
            "When the storm was over, there was a [big|bright] rainbow over the {place}. \"Look!\" said {name}.",
        ),
    ),
    "race": (
        (
            "One {weather} {time} there was a race {at_place2}. [Everyone came to see it.|The prize was a {colour} {toy}.]",
            '"I am faster than you," said {friend} one {weather} {time}. "Let us race to the {place2}!"',
        ),
        (
            "{Name} and {friend} stood side by side. \"One, two, three, go!\"",
            "\"[Ready|Are you ready]? Go!\" shouted {his} {helper}, and off they ran.",
        ),
        (
            "{Friend} was very fast and was soon far ahead. [{Name} ran slowly but did not stop.|]",
            "At first {name} was ahead. {He} ran like the wind.",
        ),
        (
            "Then {friend} fell and hurt {fhis} foot. \"Ouch!\" cried {friend}.",
            "Then {name} heard a cry. {Friend} had fallen {spot}.",
        ),
        (
            "{Name} could win now, but {he} stopped. \"[Are you hurt|Can you walk]?\" {he} asked.",
            "{Name} turned around and ran back. \"Let me help you,\" {he} said.",
        ),
        (
            "{He} helped {friend} up, and they walked to the end together.",
            "{Friend} held on to {name}, and so they came to the end [side by side|at the same time].",
        ),
        (
            'Everyone clapped. "[You are both winners|A good friend is better than a prize]," said {his} {helper}.',
            '"You did not win," said {friend}, "but you are the best friend of all."',
        ),
    ),
    "found": (
        (
            "One {weather} {time} {name} went for a walk {to_place2}. {Spot} {he} found a {colour} {toy}.",
            "One {weather} {time} {name} and {friend} were playing {at_place2}. {Name} found a {colour} {toy} {spot}.",
        ),
        (
            '"[What a nice|What a beautiful] {toy}!" {he} said. "[I want to keep it|Now it is mine]."',
            "It was [old|new] and [shiny|very pretty]. {Name} wanted to keep it.",
        ),
        (
            '"But who lost it?" asked {friend}. "[Maybe someone is sad now|Someone must miss it]."',
            "Then {he} thought, \"Someone has lost this {toy} and is sad now.\"",
        ),
        (
            "They asked the {kind3}, but the {kind3} said, \"It is not mine. My {toy} is {colour2}.\"",
            '"Is this your {toy}?" {name} asked the {kind3}. "No," said the {kind3}, "I never had a {toy}."',
        ),
        (
            "Then they met an old {kind4} who was looking for something. \"Have you seen my {colour} {toy}?\" asked the {kind4}.",
            "{Spot} sat an old {kind4} and cried. \"I have lost my {colour} {toy},\" said the {kind4}.",
        ),
        (
            '"Here it is," said {name}, and gave the {toy} to the old {kind4}.',
            '{Name} held out the {toy}. "I found it for you," {he} said.',
        ),
        (
            "The old {kind4} was so happy that {name} got {a_food}.",
            '"Thank you," said the {kind4}. "You have a good heart." [{Name} smiled all the way home.|]',
        ),
    ),
    "visit": (
        (
            "One {weather} {time} {name} went to visit {his} {helper}, who lived {at_place2}.",
            "{His} {helper} was sick in bed. So one {weather} {time} {name} went {to_place2} to visit {his} {helper}.",
        ),
        (
            "{He} took {a_food} and a {colour} {toy} with {him}.",
            "In {his} bag {he} had {a_food}.",
        ),
        (
            "On the way {he} met {friend}. \"Where are you going?\" asked {friend}. \"To my {helper},\" said {name}.",
            "Soon {he} saw {friend} {spot}. \"May I come with you?\" asked {friend}. \"Yes, come along,\" said {name}.",
        ),
        (
            "The way was long. They [sang a song|counted the birds] and were not tired at all.",
            "They came to a [dark|deep] forest and lost the way. \"I know the way,\" said {friend}. \"Come with me.\"",
        ),
        (
            "At last they saw the house. It had a {colour2} door. They knocked three times.",
            "Then they saw a {colour2} house and a light in the window.",
        ),
        (
            '"Come in!" said {his} {helper}. "[I am so happy to see you|What a nice surprise]!"',
            "{His} {helper} opened the door and [hugged them both|laughed with joy].",
        ),
        (
            "They all sat down at the table and ate. {Name}'s {helper} told them a story about a {kind3}.",
            "In the {time2} {his} {helper} felt much better. \"Come back soon,\" said {his} {helper}.",
        ),
    ),
}  # fmt: skip

ENDINGS = (
    "And they lived happily ever after.",
    "{Name} went to bed and slept well that night.",
    "And from that day on, {name} and {friend} were the best of friends.",
    "{Name} was very happy, and so was {friend}.",
    "It was the best day of all.",
    "The end.",
    "That night {name} had a good dream.",
    "And {name} never forgot that {weather} {time}.",
    "",
    "",
)

SUDDEN = 0.2  # the share of stories without opening


def article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _split_alternatives(text: str) -> list[str]:
    """Split at the bars outside any inner bracket."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if char == "|" and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return parts


def expand(template: str, slots: dict[str, str], rng: random.Random) -> str:
    """Choose the alternatives of a template, then fill its slots."""
    out, i = [], 0
    while i < len(template):
        if template[i] != "[":
            out.append(template[i])
            i += 1
            continue
        depth, j = 1, i + 1
        while depth:
            depth += (template[j] == "[") - (template[j] == "]")
            j += 1
        out.append(expand(rng.choice(_split_alternatives(template[i + 1 : j - 1])), slots, rng))
        i = j
    return "".join(out).format_map(slots)


def _character(rng: random.Random, pronouns: tuple[str, str, str], taken: str = "") -> tuple[str, str]:
    """A kind and a name that go with the pronouns."""
    kinds = [kind for kind in KINDS if kind != taken and CHILDREN.get(kind, pronouns) == pronouns]
    return rng.choice(kinds), rng.choice(NAMES[pronouns])


def _slots(rng: random.Random) -> dict[str, str]:
    """Fix everything one story talks about."""
    hero, other = rng.sample((HE, SHE), 2)  # so that no "he" or "she" is ever in doubt
    kind, name = _character(rng, hero)
    fkind, friend = _character(rng, other, kind)
    (he, him, his), (fhe, fhim, fhis) = hero, other
    animals = [animal for animal in KINDS if animal not in (kind, fkind) and animal not in CHILDREN]
    kind3, kind4 = rng.sample(animals, 2)
    place, place2 = rng.sample(sorted(PLACES), 2)
    colour, colour2 = rng.sample(COLOURS, 2)
    toy, toy2 = rng.sample(TOYS, 2)
    trait, ftrait = rng.sample(TRAITS, 2)
    food, skill, build, fear = (rng.choice(sorted(pool)) for pool in (FOODS, SKILLS, BUILDS, FEARS))
    time = rng.choice(TIMES)
    at_place = f"{PREPOSITIONS[place]} the {place}"
    slots = {
        "name": name, "kind": kind, "he": he, "him": him, "his": his, "himself": f"{him}self", "size": rng.choice(SIZES),
        "trait": trait, "friend": friend, "fkind": fkind, "fhe": fhe, "fhim": fhim, "fhis": fhis, "ftrait": ftrait,
        "kind3": kind3, "kind4": kind4, "place": place, "place2": place2, "at_place": at_place,
        "at_place2": f"{PREPOSITIONS[place2]} the {place2}", "to_place2": f"to the {place2}", "spot": PLACES[place2],
        "colour": colour, "colour2": colour2, "toy": toy, "toy2": toy2, "food": food, "a_food": article(food),
        "food_plain": rng.choice(("cake", "pie", "cookies")), "skill": skill, "skill_end": SKILLS[skill], "build": build,
        "stuff": BUILDS[build], "plant": rng.choice(PLANTS), "helper": rng.choice(HELPERS), "fear": fear, "time": time,
        "time2": rng.choice(("morning", "evening")), "time_end": rng.choice(("moon came out", "sun went down")),
        "weather": rng.choice(WEATHER), "home": rng.choice(("", "", "", " in a small house", f" with {his} family")),
    }  # fmt: skip
    slots["fear_end"] = FEARS[fear][0].format_map(slots)
    return slots | {key.capitalize(): value[:1].upper() + value[1:] for key, value in slots.items()}


def story(rng: random.Random) -> str:
    """One story: an opening, a friend, a plot of seven beats and perhaps an ending; some begin in the middle."""
    slots = _slots(rng)
    plot = PLOTS[rng.choice(sorted(PLOTS))]
    beats = [rng.choice(OPENINGS), rng.choice(DETAILS), *(rng.choice(beat) for beat in plot), rng.choice(ENDINGS)]
    if rng.random() < SUDDEN:
        beats = beats[rng.choice((2, 2, 3, 4)) :]
    return " ".join(" ".join(expand(beat, slots, rng) for beat in beats).split())


def stories(seed: int, count: int) -> Iterator[str]:
    """`count` different stories of one seed."""
    rng, seen = random.Random(seed), set[str]()
    while len(seen) < count:
        text = story(rng)
        if text not in seen:
            seen.add(text)
            yield text


def main() -> None:
    parser = argparse.ArgumentParser(description="Print generated stories, one per line.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=5)
    args = parser.parse_args()
    for text in stories(args.seed, args.count):
        print(text)


if __name__ == "__main__":
    main()
