"""The sentences of the stories. Data only, in the notation of `grammar.expand`.

A plot is a list of beats; each beat is a tuple of alternative sentences or short paragraphs.
"""

# One sentence a line reads better here than wrapped strings.
# ruff: noqa: E501

from __future__ import annotations

MOODS = ("happy", "sad", "funny", "spooky", "calm", "exciting")

OPENINGS = (
    "Once upon a time there was a(n) {adj} {kind} named {name}, who lived near {spot} in the {place}.",
    "Once upon a time, in a(n) [quiet|faraway|small|beautiful|strange] {place}, there lived a(n) {adj} {kind} named {name}.",
    "Once upon a time a(n) {adj} {kind} [called|named] {name} lived [close to|beside|not far from] {spot}.",
    "Once upon a time there [was|lived] a(n) {adj} {kind}. [{his} name was {name}|everyone called {him} {name}], and {he} lived in the {place}.",
    "Once upon a time, there was a(n) {kind} named {name}. {name} was [very|rather|always] {adj}, and {he} had a friend, a(n) {fkind} called {fname}.",
    "Long ago, in a(n) {place}, a(n) {adj} {kind} named {name} lived [beside|near] {spot}.",
    "In the {place} there lived a(n) {adj} {kind} named {name}.",
    "There was once a(n) {adj} {kind} who lived near {spot}. {his} name was {name}.",
    "One {weather} {season} morning, a(n) {adj} {kind} named {name} woke up near {spot}.",
    "{name} was a(n) {adj} {kind} who lived in a(n) [small|warm|crooked|tidy] house near {spot}.",
    "Nobody in the {place} knew {spot} better than {name}, a(n) {adj} {kind}.",
    "It was a(n) {weather} day in the {place} when {name} the {kind} [opened|closed] {his} door.",
    "Far away, where the {place} ends, lived {name}, a(n) {adj} {kind} with a good heart.",
    "Every {season}, {name} the {kind} walked through the {place} to visit {fname}, a(n) {fadj} {fkind}.",
)

HABITS = (
    "{he} loved [singing|dancing|painting|reading|cooking|climbing|swimming|telling jokes] more than anything else.",
    "every [morning|evening|day] {he} [walked|strolled|ran|skipped] to {spot2} and [listened to the birds|counted the clouds|said hello to the wind|looked for {food}].",
    "{his} best friend was {fname}, a(n) {fadj} {fkind} who [laughed at everything|never hurried|knew many songs|was always hungry].",
    "{he} liked {food}, [warm|soft|long] [blankets|evenings|stories], and the [smell|sound] of rain.",
    "people said that {name} was [too {adj} for this world|the best listener in the {place}|always busy with something].",
    "on most days {he} [helped|visited|teased] {fname} the {fkind}, and together they [shared|cooked|ate] {food}.",
    "{he} kept a(n) {thing} in {his} pocket and [never|hardly ever] showed it to anyone.",
    "{he} [wished|dreamed] of seeing what was behind {spot3}.",
    "when the work was done, {he} sat by {spot} and [hummed a tune|drank some tea|wrote letters|watched the sky].",
)

SETTINGS = {
    "happy": (
        "the sun was [shining|warm on the roofs], and the air smelled of {food}.",
        "that {season} everything [bloomed|sparkled|seemed possible].",
        "the [birds|children|bells] were [loud|merry] that day, and {name} was in a good mood.",
    ),
    "sad": (
        "that {season} was [long|grey|quiet], and {name} felt [alone|tired|heavy].",
        "the rain [fell for days|drummed on the roof], and nobody came to visit.",
        "the {place} had become [silent|empty] since the [summer|music|old days] had gone.",
    ),
    "funny": (
        "{name} was wearing two [different shoes|hats|left socks] that day and had not noticed.",
        "a(n) [goat|chicken|very round pigeon] was sitting on the table, and nobody knew why.",
        "{he} had a plan, and {his} plans [always|usually] ended with [soup on the ceiling|a loud splash|somebody running].",
    ),
    "spooky": (
        "the moon was [thin|pale], and the [shadows|trees|windows] looked like [teeth|long fingers|eyes].",
        "at night a cold [wind|fog] crept [around|over] {spot2}, and no one dared to go out.",
        "they said that something [lived|whispered|waited] behind {spot3}.",
    ),
    "calm": (
        "the day was [slow|soft|still], and nothing was in a hurry.",
        "a light [wind|rain] moved over {spot2}, and the leaves [whispered|nodded].",
        "the evening light lay [gold|gentle] on the {place}.",
    ),
    "exciting": (
        "that day the wind [roared|howled] and {name} [felt|knew] that something would happen.",
        "{he} had [waited|trained|prepared] for an adventure all {season}.",
        "strange [tracks|lights|signs] had been seen near {spot2}.",
    ),
}  # fmt: skip

DIALOGUE = (
    '"[What shall we do|What now|Where do we start]?" asked {fname}. "[First we think|We try again|One step at a time]," said {name}.',
    '"I am not sure about this," [whispered|said|muttered] {name}. "[Nobody is|I am here with you|That is all right]," answered {fname}.',
    '{fname} [smiled|sighed|shook {fhis} head]. "You are [braver|stranger|kinder] than you think," {fhe} said.',
    '"Look!" [cried|called|shouted] {fname} and pointed at {spot3}.',
    '"[Please|Quick|Come], help me," said {name}, and {fname} [came at once|did not ask why|took {fhis} hat].',
    '"Do you hear that?" asked {name}. They both [stood still|held their breath] and listened.',
    "{name} [said nothing|closed {his} eyes] for a moment and [thought of home|took a deep breath|counted to {count}].",
)

LOST_THING = [
    (
        "One day {name} put {his} hand in {his} pocket and [went cold|gasped]. the {thing} was gone.",
        "But one morning the {thing} that {he} loved was [missing|gone], and {he} [sat down and cried|could not believe it].",
        "Then {he} lost {his} {thing}, the one {his} grandmother had given {him}.",
    ),
    (
        "{he} looked [under the bed|behind the stove|in every drawer], [around|behind] {spot} and even [near|inside] {spot2}, but {he} found only [dust|an old sock|a sleeping snail].",
        "{he} searched {spot} and {spot2}, and {he} asked [everyone|everybody] in the {place}. no one had seen it.",
        "all day {he} walked with {his} eyes on the ground. {he} found {count} [buttons|feathers|stones], but no {thing}.",
    ),
    (
        'Then {fname} the {fkind} came along. "[Let us go back|Tell me where you were]," said {fname}. slowly they [went|followed {his} steps] to {spot3}.',
        '{fname}, a(n) {fadj} {fkind}, heard {him} sigh. "When did you have it last?" {fhe} asked. {name} thought [hard|for a while] and remembered {spot3}.',
        "A(n) {fadj} {fkind} called {fname} offered to help. {fhe} had [good eyes|a fine nose|much patience], and {fhe} [looked|searched] where nobody else had looked.",
    ),
    (
        "There it was, [shining|half hidden] in the grass. {name} [hugged|thanked] {fname} and [held|pressed] the {thing} [tight|to {his} heart].",
        'There, between two stones, lay the {thing}. "You found it!" [cried|laughed] {name}, and [danced|jumped] for joy.',
        "The {thing} was lying [in the mud|under a leaf] next to {spot3}. {name} cleaned it [carefully|with {his} sleeve] and gave {fname} half of {his} {food}.",
    ),
]

FOUND_THING = [
    (
        "One afternoon {he} found a(n) {thing} near {spot2}. it was beautiful, and nobody was there.",
        "While {he} was walking past {spot2}, {he} stepped on something hard. it was a(n) {thing}.",
        "Then, on a(n) {weather} day, {name} found a(n) {thing} [lying|half buried] beside {spot2}.",
    ),
    (
        "{he} wanted to keep it. But that night {he} could not sleep, because somebody must be [missing|looking for] it.",
        '"[How lovely|Finders keepers]," {he} said, and put it in {his} bag. all the same, {he} felt [uneasy|a small stone in {his} heart].',
        "at home {he} put it on the table and looked at it for a long time. there was a name on it: {fname}.",
    ),
    (
        "The next morning {he} went from door to door and asked. At {spot3}, a(n) {fadj} {fkind} was [crying|searching the ground]. it was {fname}.",
        "So {he} carried it [across|through] the {place} until {he} met {fname}, a(n) {fkind} with [red|sad|tired] eyes.",
        "{he} [hung a note|asked the baker|rang the bell] near {spot}, and soon {fname} the {fkind} came running.",
    ),
    (
        '"My {thing}!" [cried|shouted] {fname}. "My father [made|gave] it to me." {name} [smiled|blushed] and gave it back.',
        "{fname} took the {thing} with [shaking|careful] hands and could not find the words. {fhe} invited {name} to eat {food}, and they talked until [dark|midnight].",
        'When {fname} saw it, {fhe} [laughed and cried|jumped into the air]. "You are honest," {fhe} said. "That is worth more than gold."',
    ),
]

STORM = [
    (
        "One night a(n) [terrible|great|sudden] storm came over the {place}. the wind [tore at|shook] the roofs, and the rain did not stop.",
        "Then black clouds [rolled in|gathered], and [thunder|lightning] [shook|split] the sky above {spot}.",
        "In the middle of {season} a storm broke [loose|out], stronger than anyone could remember.",
    ),
    (
        "{name} [heard a cry|saw a small light] near {spot2}. there was {fname} the {fkind}, [wet|shivering|stuck] and afraid.",
        "From the window {name} saw that the water was rising around {spot2}, where {fname} the {fkind} lived.",
        "a tree fell [across the path|near {spot2}], and behind it {fname}, a(n) {fadj} {fkind}, called for help.",
    ),
    (
        "{name} was [frightened|trembling], but {he} tied a rope around {himself} and [stepped|crawled] into the [storm|dark].",
        "{he} did not wait. {he} took {his} lantern, pulled {his} hat down, and [ran|fought {his} way] through the rain.",
        "step by step {he} [pushed|climbed] on, although the wind threw {him} back {count} times.",
    ),
    (
        "At last {he} reached {fname} and took {fhis} hand. Together they [walked|crept] back to the house and [sat|warmed themselves] by the fire.",
        '"Hold on to me!" {name} shouted. They [ran|stumbled] through the [water|mud] until the door closed behind them, and everything was [quiet|safe].',
        "{he} pulled {fname} out just in time. [Soaked|Tired] and happy, they drank hot [tea|milk] and listened to the storm outside.",
    ),
    (
        "In the morning the sky was [clear|blue], and the whole {place} helped to [mend the roofs|clear the path].",
        "By morning the storm had [passed|gone], and a rainbow stood over {spot}.",
        "When the sun came up, {fname} gave {name} a(n) {thing} and said that {he} would always be welcome.",
    ),
]

FEAR = [
    (
        "{name} had a secret: {he} was afraid of [the dark|deep water|high places|loud noises].",
        "There was one thing that {name} could not do: {he} could not [swim|climb|speak in front of others] without [shaking|feeling ill].",
        "All the others went to {spot2} to play, but {name} stayed at home, because {he} was afraid.",
    ),
    (
        "One day {fname} the {fkind} fell [into|behind] {spot3} and could not get out. [nobody else was near|the others were far away].",
        "Then {fname}, {his} friend the {fkind}, did not come home, and it was getting [dark|late].",
        "But one evening {he} heard {fname} the {fkind} [call|cry] from {spot3}, and there was no one else to help.",
    ),
    (
        "{his} knees [shook|were soft like butter]. {he} took one step, then another, and [thought only of|kept thinking of] {fname}.",
        '"I am afraid," {he} said aloud, "but I am going anyway." And {he} went.',
        "{he} counted to {count}, closed {his} eyes, opened them again, and [started|moved].",
    ),
    (
        "{he} [found|reached] {fname} and pulled with all {his} strength, until they both [lay in the grass|rolled to safety].",
        "When {he} found {fname}, {he} [held out a branch|threw a rope] and did not let go.",
        "And there was {fname}, [cold but unhurt|very small in the dark]. {name} took {fhim} by the hand and led {fhim} home.",
    ),
    (
        '"You came," said {fname}. "[Of course|I was scared the whole time]," said {name}, and both of them [laughed|had to sit down].',
        "Since then {name} has still been afraid [sometimes|now and then], but {he} knows that it [passes|does not have to stop {him}].",
        "The others heard of it and [cheered|clapped], but {name} only wanted {food} and a long sleep.",
    ),
]

HUNGRY_WINTER = [
    (
        "That winter the snow was deep, and there was little to eat. {name} had only {food} left.",
        "The harvest had been bad, and by the end of {season} {name} had just one [bowl|basket] of {food}.",
        "One cold evening {he} counted what {he} had: some {food}, and nothing else until spring.",
    ),
    (
        "Then someone knocked. At the door stood a(n) {fadj} {fkind} named {fname}, [thin|blue] with cold.",
        "{fname} the {fkind} came by and asked [quietly|politely] for something to eat.",
        "Outside, {fname}, a(n) {fkind} from the other side of the {place}, was [digging in the snow|looking for crumbs].",
    ),
    (
        '{name} [looked at the table|thought for a moment]. "Come in," {he} said. "It is enough for two if we eat slowly."',
        "{he} wanted to close the door. But {he} remembered how hunger feels, and {he} put a second [spoon|plate] on the table.",
        "{name} cut everything into two equal [parts|halves] and gave {fname} the [bigger|warmer] one.",
    ),
    (
        "In return, {fname} [showed {him} where the nuts were buried|mended the roof|told stories that made the night short].",
        "The next day {fname} came back with {food2}, and so they [shared|helped each other] through the winter.",
        "They ate, they [talked|sang], and the room was warmer with two.",
    ),
]

RACE = [
    (
        "One day there was a(n) [great race|contest] from {spot} to {spot2}, and the prize was a(n) {thing}.",
        '{fname}, a(n) {fadj} {fkind}, boasted that nobody could [beat|outrun] {fhim}. {name} said, "[I will try|We shall see]."',
        "Every {season} the {place} held a race, and this time even {name} wanted to [run|take part].",
    ),
    (
        "Everyone [laughed|smiled], because {fname} was the fastest of them all. The [bell rang|flag fell], and off they went.",
        "{fname} [shot ahead|was out of sight] at once. {name} ran as well as {he} could, [puffing|and looked at the ground].",
        "At first {name} was last. [Dust|Mud] flew into {his} face, and {his} legs hurt.",
    ),
    (
        "But halfway, {fname} stopped to [eat {food}|wave to the crowd|take a nap], for {fhe} was sure to win.",
        "Near {spot3}, {fname} took the [wrong|longer] path, because {fhe} had been too proud to ask.",
        "Then {name} heard a cry: {fname} had [fallen into a ditch|hurt {fhis} foot]. {name} stopped and helped {fhim} up.",
    ),
    (
        "{name} kept going, step by step, and crossed the line [first|just ahead of {fname}]. Nobody could believe it.",
        "In the end they crossed the line together, and the [judge|old owl] cut the prize cake in two.",
        "{name} came in last, but the crowd cheered for {him} [loudest|the longest], and {fname} shook {his} hand.",
    ),
]

LIE = [
    (
        "One day {name} broke {fname}'s {thing} while playing. [nobody had seen it|{he} hid the pieces].",
        "{name} wanted to try the {food} that {fname} the {fkind} had made, and soon [all of it was gone|the plate was empty].",
        "By accident, {name} left the gate near {spot2} open, and {fname}'s [sheep|chickens|geese] ran away.",
    ),
    (
        '"Who did this?" asked {fname}. "It was [the wind|a stranger|the crow]," said {name}, and {his} ears turned red.',
        "When {fname} asked, {name} said that {he} knew nothing. The words tasted [bitter|like dust].",
        '"Not me," said {name} quickly, and {he} could not look {fname} in the eyes.',
    ),
    (
        "That night {he} lay awake. The lie [sat on {his} chest|grew bigger] with every hour.",
        "All day long {he} felt [heavy|ill]. Even {food2} did not taste good.",
        "The next days were lonely, because {he} [hid from|avoided] {fname}.",
    ),
    (
        'At last {he} knocked at the door. "It was me," said {name}. "I am sorry." {fname} was silent, and then {fhe} [nodded|smiled].',
        "In the morning {he} told {fname} everything. {fname} was angry for a moment, and then [glad|they cleaned up together].",
        'So {he} wrote a letter: "I was the one. Please forgive me." {fname} came [at once|the same day] and [hugged|forgave] {him}.',
    ),
    (
        "Together they [repaired what was broken|made everything good again], and it took until evening.",
        "{name} felt as light as a feather.",
        '"The truth is hard," said {fname}, "but it is [shorter|lighter] than a lie."',
    ),
]

CAKE = [
    (
        "It was {fname}'s birthday, and {name} wanted to bake the best cake in the {place}.",
        "One morning {name} decided to cook a surprise for {fname} the {fkind}.",
        "{name} had promised to bring {food} to the party near {spot2}, although {he} had never cooked before.",
    ),
    (
        "{he} mixed [flour and honey|eggs and sugar], and then, by mistake, {he} [used salt instead of sugar|added a whole jar of pepper|dropped {his} hat into the bowl].",
        "First the milk boiled over. Then the [flour|oven] [exploded|smoked], and {name} was [white|black] from head to foot.",
        "The dough grew and grew. It [crept over the table|lifted the lid|pushed the door open], and {name} ran after it with a spoon.",
    ),
    (
        "Just then {fname} came in and saw the [mess|disaster]. {name} wanted to [sink into the floor|hide under the table].",
        '"What is that smell?" asked {fname} at the door. {name} [hid the pan|turned red].',
        "The guests came too early. There was [dough|soup] on the ceiling, and one of the {count} cakes was [burning|walking].",
    ),
    (
        "But {fname} took a bite, made a face, and [laughed|laughed until {fhe} cried]. They ate {food2} instead, sitting on the kitchen floor.",
        '"It is the worst cake I have ever eaten," said {fname}, "and the nicest present." Then they [cooked|cleaned] together.',
        "In the end they made {food2}, and it was [wonderful|the best meal of the year], even without a cake.",
    ),
]

NEWCOMER = [
    (
        "One day a stranger came to the {place}: {fname}, a(n) {fadj} {fkind} with a heavy bag. nobody spoke to {fhim}.",
        "{name} had just moved to the {place} and did not know anyone. At {spot} the others [played|laughed] without {him}.",
        "Near {spot2} lived a(n) {fkind} named {fname}, and everybody said that {fhe} was [dangerous|strange|unfriendly].",
    ),
    (
        "{name} watched from afar for [a day|a week], and {he} wondered what to say.",
        "At first {name} was too shy. {he} [practised|whispered] hello in front of the mirror {count} times.",
        "{name} saw {fname} sit alone beside {spot3}, looking at a(n) {thing}.",
    ),
    (
        'Finally {name} went over with some {food}. "Would you like to share?" {he} asked. {fname} [blinked|smiled].',
        'Then it began to rain, and both of them ran under the same [tree|roof]. "I am {name}," said {name}. "I am {fname}," said {fname}.',
        "One day a ball rolled to {his} feet. {name} kicked it back, and {fname} [laughed|waved].",
    ),
    (
        "They found out that they both liked [stars|riddles|old songs|{food2}], and they talked until the moon came up.",
        "{fname} showed {him} the {thing} and told {him} where it came from, [far across the sea|a land of snow].",
        "Soon they were building a(n) [raft|tree house|kite] together, and others came to help.",
    ),
]

BRIDGE = [
    (
        "One {season} the [flood|storm] carried the bridge away, and nobody could get to {spot2}.",
        "A huge [rock|tree] had fallen on the road, and the {place} was cut off from the [market|world].",
        "The old well had dried up, and there was no water in the {place}.",
    ),
    (
        "The [strongest|richest] tried alone and gave up. [Others|The rest] just complained.",
        "{fname} the {fkind} pushed and pulled for {count} days, but nothing moved.",
        'Everybody argued. "It cannot be done," said {fname}, a(n) {fadj} {fkind}.',
    ),
    (
        "{name} had an idea. {he} drew it in the sand: if everyone [carried|brought] one small [stone|plank|rope], it would be enough.",
        'Then {name} asked a simple question: "What if we do it together?"',
        "{name} took a(n) [spade|hammer] and began on {his} own. After an hour {fname} came, and then [another|ten others].",
    ),
    (
        "They worked from dawn until dusk and [sang|joked] while they worked. On the [third|fifth] day it was done.",
        "By evening they had [finished|done it]. Everybody [cheered|danced], and there was {food} for all.",
        "It took a week, and every hand was needed, even the smallest.",
    ),
]

NIGHT_SOUND = [
    (
        "One night {name} woke up. Something was [scratching|knocking|breathing] outside, near {spot2}.",
        "At midnight there was a(n) [long howl|strange light|slow knocking] from {spot2}. {name} sat up in bed.",
        "Every night at [twelve|the same hour], something [moaned|rattled] behind {spot2}, and nobody knew what it was.",
    ),
    (
        "{he} lit a candle. The shadows [jumped|danced] on the wall, and the floor [creaked|groaned] under {his} feet.",
        "{he} pulled the blanket over {his} head, but the sound came [closer|again], and again.",
        "The fog was so thick that {he} could hardly see {his} own [hands|feet], and something [touched|brushed] {his} shoulder.",
    ),
    (
        '"Who is there?" {he} [whispered|called]. No answer. Then two [green|yellow] eyes opened in the dark.',
        "{he} opened the door [a little|with a shaking hand]. A(n) [cold|damp] wind blew out the candle.",
        "{he} followed the sound step by step, past {spot3}, until {he} stood before a(n) [black hole|small door].",
    ),
    (
        "It was only {fname}, a(n) {fadj} {fkind}, who had lost {fhis} way and was more afraid than {name}.",
        "There, in the dark, sat {fname} the {fkind} with a(n) {thing}, trying to [make music|fix it] where nobody could hear.",
        "It was a ghost, but a very small one. It said that its name was {fname}, and that it was [lonely|cold].",
    ),
    (
        "{name} had to laugh, and the night did not seem so dark any more.",
        "They sat together until morning, and since then the sound has not [come back|frightened anyone].",
        "But when {name} looked back, {he} saw that {fname} [cast no shadow|left no footprints].",
    ),
]

GARDEN = [
    (
        "One day {he} found a(n) [strange|tiny|golden] seed and planted it near {spot}.",
        'In spring {fname}, a(n) old {fkind}, gave {him} a seed and said, "[Be patient|Wait and see]."',
        "{name} wanted a garden, but the ground near {spot} was [hard|dry] and full of stones.",
    ),
    (
        "{he} watered it every [morning|evening]. For {count} weeks nothing happened.",
        "{he} carried water from {spot2}, day after day. The others [shook their heads|laughed at {him}].",
        "{name} sat beside it and [sang|talked] to the earth, and the earth said nothing.",
    ),
    (
        "One morning, when {he} had [almost given up|nearly forgotten it], there was a small green [leaf|tip].",
        "After a(n) [night of rain|long winter], something green [pushed|looked] out of the ground.",
        "{fname} the {fkind} came by and [pulled the weeds|brought a bucket], and they waited together.",
    ),
    (
        "It grew into a tree with [silver leaves|sweet fruit], and in its shade there was room for everyone.",
        "In {season} the garden was full of [flowers|bees|colour], and the whole {place} came to look.",
        "The first flower was as blue as the sky, and {name} gave it to {fname}.",
    ),
]

FAREWELL = [
    (
        'One day {fname} the {fkind}, {his} oldest friend, said, "I have to go away."',
        "That {season}, {fname}, {his} friend, became ill, and each day {fhe} was a little weaker.",
        "When {fname} the {fkind} moved to another land, {name} stood near {spot} and waved until the [boat|cart] was gone.",
    ),
    (
        "They went once more to {spot2}, where they had [played|sat] so often, and [said very little|shared {food}].",
        '{name} wanted to say many things, but {he} only said, "[Stay|I will miss you]."',
        "They remembered the [summers|jokes|songs], and sometimes they smiled.",
    ),
    (
        '{fname} gave {him} a(n) {thing}. "[Keep it for me|When you look at it, think of me]," {fhe} said.',
        "On the last evening they watched the sun go down behind {spot3}, and neither of them moved.",
        "Then it was time. {fname} [turned around once|did not look back], and the road was empty.",
    ),
    (
        "For a long time {name} [did not laugh|could not sing]. The {place} was [too quiet|too big] without {fname}.",
        "{name} went to {spot2} every day and waited, although {he} knew that no one would come.",
        "The house was still, and the second [cup|chair] stayed empty.",
    ),
]

SLEEPWALKER = [
    (
        "Somebody was stealing {food}! Every morning one more [plate|basket] was empty.",
        "One morning all the [hats|left shoes|spoons] in the {place} were gone.",
        "For {count} nights, somebody had painted [moustaches|blue spots] on the doors of the {place}.",
    ),
    (
        "{name} decided to catch the thief. {he} dug a hole, covered it with leaves, and promptly [fell into it|forgot where it was].",
        "{name} and {fname} the {fkind} hid in a barrel. Unfortunately, it was a barrel of [honey|pickles].",
        '{name} put on a false [beard|nose] and asked everyone questions. Everyone said, "Hello, {name}."',
    ),
    (
        "At midnight {fname} heard steps. Somebody came, [humming|snoring], with a(n) [spoon|sack] in {his} hand.",
        "{fname} tied a bell to every [door|pot]. In the night, the bell rang, and {fhe} jumped out with a lamp.",
        "In the end they spread flour on the floor, and in the morning there were [footprints|tracks] that led straight to {name}'s bed.",
    ),
    (
        "It was {name} {himself}, fast asleep! {he} had been walking in {his} sleep all along.",
        '"{name}!" cried {fname}. "It is you!" {name} woke up with [jam|paint|crumbs] all over {his} face.',
        "And who was the thief? It was {name}, who was sleepwalking and dreaming of [a banquet|a parade].",
    ),
]

LETTER = [
    (
        "One day {name} was asked to carry a letter to {fname}, a(n) {fadj} {fkind} who lived behind {spot3}.",
        'The [king|mayor|captain] gave {name} a sealed {thing} and said, "Bring it to {fname} before [sunset|midnight]."',
        "A message had to reach {fname} the {fkind} that very night, and only {name} knew the way past {spot3}.",
    ),
    (
        "{he} ran past {spot} and {spot2}. Then the path [ended|split in three], and the [sign|map] was gone.",
        "The way was blocked by a(n) [river|wall of thorns|band of robbers], and time was running out.",
        "Halfway there, {his} [boat|cart] broke, and {he} had to go on on foot.",
    ),
    (
        "{he} [climbed|swam|slid], tore {his} coat, and did not stop. A(n) [wolf|shadow] followed {him}, but {he} was faster.",
        "{he} tricked the guards with [a riddle|some {food}] and slipped through the gate.",
        "With a(n) [branch|rope] {he} swung across, and {his} heart beat like a drum.",
    ),
    (
        'At the last [minute|moment] {he} knocked at the door. {fname} read the letter and [turned pale|jumped up]: "You have saved us all!"',
        '{fname} opened it and began to laugh. It said: "Please give the messenger {food}."',
        "{he} arrived just in time, and because of the message the {place} was [warned|saved].",
    ),
]

TREASURE = [
    (
        "In an old [chest|book] {he} found a map. A red cross marked a place near {spot3}.",
        "{fname} the {fkind} had heard of a treasure hidden [behind|under] {spot3}. They [packed|set out] at once.",
        "A bottle with a map [washed up|was lying] near {spot}. {name} [called|woke] {fname}, and they went looking.",
    ),
    (
        "They [crossed|climbed over] {spot2}, lost their [lamp|bread], and once they nearly fell.",
        "The map was [torn|wet], so they had to guess. Twice they went in a circle.",
        'They dug for {count} hours. {fname} wanted to go home, but {name} said, "Only a little deeper."',
    ),
    (
        "Then the spade hit [wood|iron]. The box was [small|heavy], and the lock was rusty.",
        "Suddenly the ground gave way, and they [slid|fell] into a hidden [room|cave].",
        "A(n) [old guard|giant spider|stone lion] asked them a riddle, and {name} knew the answer.",
    ),
    (
        'Inside there was no gold, only a(n) {thing} and a note: "You have come far together. That is the treasure."',
        "They opened it. It was full of [coins|jewels], and they gave [half|most] of it to the people of the {place}.",
        "In the box lay a(n) {thing}. It was worth nothing, and yet {name} has kept it ever since.",
    ),
]

STILLNESS = [
    (
        "{he} sat down near {spot} and [looked at the water|listened to the wind].",
        "That day {name} had nothing to do, so {he} went to {spot2} with a(n) [cup of tea|slice of bread].",
        "In the evening {name} and {fname} the {fkind} walked slowly to {spot2}.",
    ),
    (
        "A leaf [fell|floated by]. A bird [called twice|cleaned its feathers]. Somewhere, someone was [baking {food}|playing a flute].",
        "The light changed from [white to gold|gold to blue], and the first star came out.",
        "{fname} came and sat beside {him}. They did not need to talk.",
    ),
    (
        '"What are you thinking about?" asked {fname}. "[Nothing|Everything]," said {name}, and it was true.',
        "{he} found a(n) {thing} in the grass, turned it in {his} hands, and put it back.",
        "A snail crossed the path. {name} waited until it had [passed|reached the other side].",
    ),
    (
        "When it grew cool, {he} went home, lit a(n) [lamp|fire], and ate some {food}.",
        "They stayed until the moon stood over {spot}, and then they walked home.",
        "{he} [yawned|smiled], wrapped {himself} in a blanket, and listened to the rain.",
    ),
]

INSTRUMENT = [
    (
        "One day {name} got a(n) [wooden flute|drum|violin], and {he} began to practise near {spot}.",
        "{name} wanted to sing at the [festival|wedding], but {his} voice was [hoarse|too quiet].",
        "At the market {name} bought an old violin with only {count} strings.",
    ),
    (
        "The first notes sounded like a(n) [cat in a bucket|rusty door]. The neighbours closed their windows.",
        "Birds flew away, and milk turned sour. Even {fname} the {fkind} put {fhis} fingers in {fhis} ears.",
        '"Please stop," begged {fname}, a(n) {fadj} {fkind}. But {name} practised every day.',
    ),
    (
        'An old [musician|traveller] heard {him} and said, "Play [slowly|what you feel]."',
        "One evening {fname} showed {him} how to breathe, and suddenly there was a(n) [clear|warm] tone.",
        "Little by little it became better: first one note, then a(n) [tune|whole song].",
    ),
    (
        "At the festival {name} played, and it was so [still|beautiful] that one could hear the leaves fall. Then everybody clapped.",
        "In the end the whole {place} danced to {his} music, even {fname}.",
        'When {he} had finished, {fname} wiped {fhis} eyes. "Again," {fhe} said.',
    ),
]

QUARREL = [
    (
        "One day {name} and {fname} the {fkind} had a quarrel about [a game|the last piece of {food}|who was right].",
        "{name} and {fname} had been friends for years, until they both wanted the same {thing}.",
        "{fname} the {fkind} said something [careless|unkind], and {name} walked away without a word.",
    ),
    (
        "For {count} days they did not speak. {name} drew a line [through the garden|in the sand] that nobody was allowed to cross.",
        "{name} played alone near {spot2}, and {fname} played alone near {spot3}. It was no fun at all.",
        '"I do not need {fhim}," said {name} to {himself}, but nobody laughed at {his} jokes any more.',
    ),
    (
        "Then it [snowed|began to rain], and {name} saw that {fname} had no [coat|roof]. {he} took {his} umbrella and went over.",
        "One evening both of them came to the bridge at the same time. They looked at their [feet|shoes].",
        '{name} found half of the {food} at {his} door, with a note: "[I was wrong|It is boring without you]."',
    ),
    (
        '"I am sorry," they said at the same moment, and then they [had to laugh|hugged].',
        "They wiped the line away and [built a bench|planted a tree] in its place.",
        "They cut the {food} in two, and each of them gave the other the bigger part.",
    ),
]

WAY_HOME = [
    (
        "One afternoon {he} [chased a butterfly|followed a stream] too far, and suddenly {he} did not know where {he} was.",
        "{name} had gone to look for {food}, and when {he} turned around, the path was [gone|covered with snow].",
        "In the fog {he} lost sight of the others. {he} called, but only the echo answered.",
    ),
    (
        "{he} tried one way, then another, but everything looked the same. [Soon it was dark|{his} feet hurt].",
        "{he} was cold and hungry, and {he} [began to cry|sat down under a tree].",
        "The night was full of [sounds|eyes]. {name} held on to {his} {thing}.",
    ),
    (
        'Then {fname}, a(n) {fadj} {fkind}, came out of the bushes. "[Look at the stars|Follow the water]," said {fname}.',
        '{he} remembered what {his} mother had said: "If you are lost, follow the river."',
        "Far off {he} saw a small light. It was {fname} the {fkind} with a lantern, who had been looking for {him}.",
    ),
    (
        "They walked all night, and at dawn {he} saw the smoke of {his} own chimney.",
        "At last {he} saw {spot}, and {he} ran the rest of the way. The door was open, and there was {food2} on the table.",
        "{his} family [hugged|held] {him} for a long time, and {fname} was asked to stay for breakfast.",
    ),
]

PLOTS = {
    "happy": [LOST_THING, FOUND_THING, NEWCOMER, BRIDGE, GARDEN, INSTRUMENT, RACE, QUARREL, HUNGRY_WINTER],
    "sad": [FAREWELL, FAREWELL, LIE, HUNGRY_WINTER, QUARREL, WAY_HOME],
    "funny": [CAKE, SLEEPWALKER, INSTRUMENT, RACE, CAKE, SLEEPWALKER],
    "spooky": [NIGHT_SOUND, NIGHT_SOUND, WAY_HOME, STORM],
    "calm": [STILLNESS, STILLNESS, GARDEN, FOUND_THING],
    "exciting": [STORM, FEAR, LETTER, TREASURE, RACE, WAY_HOME],
}  # fmt: skip

ENDINGS = {
    "happy": (
        "And from that day on they were [the best of friends|never alone again|always glad to see each other].",
        "{name} went to bed that night with a smile.",
        "It was the happiest day of the {season}.",
        "And if you walk through the {place} today, you can still hear them [laugh|sing].",
        "So {name} learned that [sharing makes everything bigger|a good friend is a treasure|kindness always comes back].",
        "They lived happily ever after.",
    ),
    "sad": (
        "Some things do not come back, but {name} [remembered|kept them in {his} heart].",
        "And when the wind blew from the {place}, {name} thought {he} could hear a voice.",
        "{he} cried a little, and then {he} put a candle in the window.",
        "It still hurt, but a little less with every [spring|morning].",
        "That was the end, and {name} never [forgot|spoke of] it.",
    ),
    "funny": (
        "Since then, everybody in the {place} [locks the kitchen|checks the soup twice|laughs when they hear the name {name}].",
        "{name} promised never to do it again, and [kept the promise until Tuesday|nobody believed it].",
        "And the goat? The goat ate [the map|the hat|the rest].",
        "They laughed so much that {fname} fell off the chair.",
        '"Next time," said {name}, "we just order {food}."',
    ),
    "spooky": (
        "Since that night {name} always leaves a light burning.",
        "But sometimes, when the moon is thin, one can still hear it: knock, knock, knock.",
        "Nobody has ever gone [there|near {spot3}] again after dark.",
        "In the morning there was nothing to see, only a(n) {thing} on the doorstep.",
        "And {name}? {name} smiled and closed the door [softly|very quickly].",
    ),
    "calm": (
        "And then {he} slept, deeply and well.",
        "Tomorrow would be another day, and that was good.",
        "The {place} was quiet, and so was {name}.",
        "It was enough.",
        "Slowly the lights went out, one after the other.",
    ),
    "exciting": (
        "What a day! {name} could hardly wait for the next [one|adventure].",
        "From then on they called {him} {name} the [Brave|Bold|Fearless].",
        "And {his} heart was still beating fast when {he} told the story at the fire.",
        "Since then, nobody has called {name} [a coward|too small] again.",
        "The {place} was safe, and {name} [laughed|fell asleep at once].",
    ),
}  # fmt: skip
