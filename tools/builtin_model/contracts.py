"""Contract clauses of 60 to 250 words and one-sentence summaries of them.

Every fact of a summary (parties, amounts, dates, duties) stands in the clause in the same spelling,
and most of it cannot be guessed: the model has to learn to find and copy it.
"""

# One sentence a line reads better here than wrapped strings.
# ruff: noqa: E501

from __future__ import annotations

import random
from dataclasses import dataclass

import names
from grammar import expand, prose, sentence_case


@dataclass(frozen=True)
class Kind:
    """A type of clause: what its sentences say, and how it is summarised."""

    roles: tuple[str, str]
    goods: tuple[str, ...]
    duties: tuple[str, ...]
    details: tuple[str, ...]
    summaries: tuple[str, ...]
    dates: dict[str, str]
    """Question after each date, keyed by its slot."""
    payer: str = "A"


@dataclass(frozen=True)
class Clause:
    text: str
    summaries: tuple[str, ...]
    """Every right one: the parties in their roles, the amount, the dates."""
    facts: dict[str, str]
    questions: list[tuple[str, str]]
    """Templates of questions with one right answer each."""


START = "[From when|When does it start|What is the starting date|Since when]?"
DEADLINE = "[By when|What is the deadline|By which date|When is it due at the latest]?"
END = "[Until when|When does it end|What is the last day|Up to which date]?"

SERVICE = Kind(
    roles=("the Client|the Customer|the Company", "the Contractor|the Provider|the Supplier"),
    goods=(
        "cleaning services",
        "web design",
        "accounting services",
        "security services",
        "translation work",
        "software maintenance",
        "catering",
        "transport services",
        "technical support",
        "marketing advice",
        "repair work",
        "staff training",
        "data storage",
        "legal advice",
    ),
    duties=(
        "{A} [engages|hires|instructs] {B} to provide {good} [from|as of|starting on] {date}. {A} [shall pay|pays|owes] {amount} for this, [due|payable|to be paid] [on|by|no later than] {date2}.",
        "[From|As of|Beginning on] {date}, {B} is responsible for {good}. the [price|fee|remuneration] is {amount} and must reach {B} [by|before the end of|not later than] {date2}; it is paid by {A}.",
        "{B} will carry out {good} for {A}, beginning on {date}. {amount} is [due|payable] to {B} by {date2}.",
        "[{B} shall provide|{B} agrees to provide|{B} undertakes to deliver] {good} to {A} [from|starting on|as of] {date}, and {A} shall pay {B} [a fee of|the sum of|a fixed price of] {amount} [no later than|by|on or before] {date2}.",
        "[In return for|As payment for] {good} supplied by {B} from {date}, {A} [shall pay|will pay|agrees to pay] {amount} [by|not later than] {date2}.",
    ),
    details=(
        "the fee covers all [materials|travel costs|expenses] unless the parties agree otherwise in writing.",
        "{B} shall perform the work with reasonable [skill|care] and [shall follow|according to] the instructions of {A}.",
        "any additional work needs the [prior|written] approval of {A}.",
    ),
    summaries=(
        "{B} provides {good} to {A} from {date}, and {A} pays {amount} by {date2}.",
        "{A} must pay {B} {amount} by {date2} for {good} starting on {date}.",
        "{A} pays {B} {amount} by {date2} in return for {good} from {date}.",
    ),
    dates={"date": START, "date2": DEADLINE},
)
LEASE = Kind(
    roles=("the Tenant|the Lessee", "the Landlord|the Lessor|the Owner"),
    goods=(
        "the warehouse in {town}",
        "the office at {street}",
        "the shop at {street}",
        "the apartment in {town}",
        "the garage in {town}",
        "the workshop at {street}",
        "the farm land near {town}",
        "the storage room at {street}",
    ),
    duties=(
        "{A} may use {good}, which belongs to {B}, from {date} [until|to] {date2}. for this {A} [pays|owes|shall pay] {B} {amount} [per month|each month|every month].",
        "{B} [hands over|gives the use of] {good} to {A}. the lease begins on {date} and ends on {date2}, and the [monthly rent|rent per month] is {amount}.",
        "{B} [lets|leases|rents] {good} to {A} from {date} [until|to] {date2}. {A} shall pay {B} [a monthly rent of|rent of|a rent of] {amount} [per month|each month|every month].",
        "[With effect from|As of] {date}, {A} [rents|takes on lease] {good} from {B} at a [monthly rent|rent per month] of {amount}. the lease ends on {date2}.",
    ),
    details=(
        "the rent is due on the [first|third|fifth] working day of each month.",
        "{A} shall keep the premises [clean|in good repair] and shall not [sublet|alter] them without the consent of {B}.",
        "[water|heating|electricity] is [not included|included] in the rent.",
    ),
    summaries=(
        "{A} rents {good} from {B} from {date} to {date2} for {amount} per month.",
        "{B} lets {good} to {A} from {date} until {date2} for a monthly rent of {amount}.",
        "{A} must pay {B} a monthly rent of {amount} for {good} from {date} to {date2}.",
    ),
    dates={"date": START, "date2": END},
)
SALE = Kind(
    roles=("the Buyer|the Purchaser", "the Seller|the Vendor|the Manufacturer"),
    goods=(
        "{qty} steel doors",
        "{qty} office chairs",
        "{qty} tonnes of wheat",
        "{qty} laptops",
        "{qty} litres of olive oil",
        "{qty} solar panels",
        "{qty} bicycles",
        "{qty} boxes of tea",
        "{qty} pairs of shoes",
        "{qty} printed books",
        "{qty} pumps",
        "{qty} metres of cable",
    ),
    duties=(
        "{B} [shall supply|supplies|undertakes to supply] {A} with {good} [by|until|no later than] {date2}. {A} [pays|shall pay|will pay] {amount} [in total|upon delivery|for the goods].",
        "for {amount}, {A} [acquires|buys|obtains] {good} from {B}, who must deliver [by|before|on or before] {date2}.",
        "{B} [sells and {A} buys|agrees to sell, and {A} agrees to buy,] {good} for [a total price of|the price of|a purchase price of] {amount}. {B} shall deliver the goods [by|no later than|on or before] {date2}.",
        "{A} [orders|purchases] {good} from {B}. the [total price|purchase price] is {amount}, and delivery [shall take place|is due] by {date2}.",
    ),
    details=(
        "title to the goods passes to {A} [upon|only after] full payment.",
        "{A} shall inspect the goods within {days} days of delivery and shall report any defect in writing.",
        "the price includes [packaging|delivery|insurance] but not [import duties|taxes].",
    ),
    summaries=(
        "{B} sells {good} to {A} for {amount} and delivers them by {date2}.",
        "{A} buys {good} from {B} for {amount}, with delivery by {date2}.",
        "{B} must deliver {good} to {A} by {date2} for {amount}.",
    ),
    dates={"date2": DEADLINE},
)
LOAN = Kind(
    roles=("the Borrower", "the Lender|the Bank"),
    goods=(
        "working capital",
        "the purchase of machinery",
        "the renovation of a house",
        "the purchase of a vehicle",
        "new equipment",
        "the expansion of the factory",
    ),
    duties=(
        "{A} [receives|borrows] {amount} from {B} on {date} for {good}. the [interest|rate] is {percent} percent [per year|a year], and {A} must [repay|pay back] the whole sum [by|on or before] {date2}.",
        "{B} provides {A} with a loan of {amount} on {date}. it serves {good}, bears {percent} percent interest per year and [falls due|is to be repaid] on {date2}.",
        "{B} [lends|grants a loan to|makes a loan to] {A} [in the amount of|of] {amount} for {good}. the loan is paid out on {date}, and {A} shall repay it in full [by|no later than] {date2} with interest of {percent} percent per year.",
        "on {date}, {B} shall pay to {A} a loan of {amount}, to be used for {good}. {A} shall repay the loan by {date2} and shall pay {percent} percent interest per year.",
    ),
    details=(
        "{A} may repay the loan early without [penalty|extra cost].",
        "if a payment is more than {days} days late, {B} may demand the whole outstanding amount.",
        "{A} shall inform {B} of any [change of address|change in its financial position].",
    ),
    summaries=(
        "{B} lends {A} {amount} at {percent} percent interest, to be repaid by {date2}.",
        "{A} borrows {amount} from {B} on {date} and must repay it by {date2} with {percent} percent interest.",
        "{A} must repay {B} a loan of {amount} by {date2} with interest of {percent} percent per year.",
    ),
    dates={
        "date": "[When is the loan paid out|On which date is the loan paid]?",
        "date2": DEADLINE,
    },
)
EMPLOYMENT = Kind(
    roles=("the Employee", "the Employer|the Company"),
    goods=(
        "an accountant",
        "a driver",
        "a software engineer",
        "a nurse",
        "a sales manager",
        "a cook",
        "a technician",
        "an office assistant",
        "a teacher",
        "a warehouse worker",
    ),
    duties=(
        "{A} [joins|is employed by|enters the service of] {B} as {good} on {date}. the [monthly salary|salary per month] is {amount}[, paid by {B}|].",
        "{B} gives {A} the position of {good} [from|starting on|as of] {date} and pays {amount} [per month|each month|every month].",
        "{B} [employs|hires|engages] {A} as {good} from {date}. {B} shall pay {A} [a salary of|a gross salary of|wages of] {amount} [per month|each month].",
        "[Starting on|As of] {date}, {A} works for {B} as {good} and [receives|is paid] a salary of {amount} per month.",
    ),
    details=(
        "the working time is {hours} hours per week, and {A} is entitled to {days} days of paid leave each year.",
        "the first {months} months are a trial period.",
        "{A} shall not work for a competitor during the employment.",
    ),
    summaries=(
        "{B} employs {A} as {good} from {date} for {amount} per month.",
        "{A} works for {B} as {good} from {date} and earns {amount} per month.",
        "{B} must pay {A} a salary of {amount} per month for work as {good} from {date}.",
    ),
    dates={"date": START},
    payer="B",
)
SECRECY = Kind(
    roles=("the Recipient|the Receiving Party", "the Discloser|the Disclosing Party"),
    goods=(
        "customer lists",
        "source code",
        "recipes",
        "technical drawings",
        "price lists",
        "test results",
        "business plans",
        "product designs",
    ),
    duties=(
        "the {good} of {B} are [secret|confidential]. {A} may not [publish|share|reveal] them [before|until] {date2} and owes {B} {amount} for [each|every|any] breach.",
        "{A} [undertakes|promises|agrees] to protect the {good} of {B} until {date2}. [each|any] breach costs {A} {amount}, payable to {B}.",
        "{A} shall keep [secret|confidential] all {good} received from {B} [until|up to and including] {date2}. for each breach {A} shall pay {B} [a penalty of|damages of|the sum of] {amount}.",
        "[Until|Up to] {date2}, {A} [shall not disclose|must not reveal|shall not pass on] the {good} of {B} to any third party, and shall pay {amount} to {B} for every breach.",
    ),
    details=(
        "this does not apply to information that is already public or that must be disclosed by law.",
        "{A} shall return or destroy all copies within {days} days of a request.",
        "only employees who need the information may see it.",
    ),
    summaries=(
        "{A} must keep the {good} of {B} confidential until {date2} or pay {amount} for each breach.",
        "{A} may not disclose the {good} of {B} until {date2}, with a penalty of {amount} per breach.",
        "until {date2}, {A} must keep secret the {good} of {B} and pays {amount} for every breach.",
    ),
    dates={"date2": END},
)
LICENCE = Kind(
    roles=("the Licensee", "the Licensor"),
    goods=(
        "the software {product}",
        "the trade mark {product}",
        "the patent {product}",
        "the photographs of {product}",
        "the music of {product}",
        "the data set {product}",
    ),
    duties=(
        "for {amount} [per year|a year], {A} [obtains|receives] from {B} the right to use {good}. the right [begins|starts] on {date} and [ends|expires] on {date2}.",
        "{B} [allows|permits] {A} to use {good} from {date} to {date2} against payment of {amount} [per year|each year].",
        "{B} grants {A} a [non-exclusive|limited|world-wide] licence to use {good} from {date} until {date2}. {A} shall pay [a licence fee of|a yearly fee of|royalties of] {amount} [per year|each year].",
        "{A} may use {good} of {B} between {date} and {date2} and shall pay {B} an annual fee of {amount}.",
    ),
    details=(
        "the licence [may not be transferred|does not include the right to modify].",
        "{A} shall [name {B} as the owner|not remove any notice of ownership].",
        "{B} may inspect the records of {A} once a year after {days} days of notice.",
    ),
    summaries=(
        "{B} lets {A} use {good} from {date} until {date2} for {amount} per year.",
        "{A} may use {good} of {B} from {date} to {date2} and pays {amount} per year.",
        "{A} must pay {B} {amount} per year for the use of {good} from {date} until {date2}.",
    ),
    dates={"date": START, "date2": END},
)
TERMINATION = Kind(
    roles=("the Customer|the Client", "the Provider|the Agency"),
    goods=(
        "the service agreement",
        "the supply agreement",
        "the agency agreement",
        "the maintenance contract",
        "the distribution agreement",
    ),
    duties=(
        "{A} [cancels|gives notice of the end of] {good} with {B}. it ends on {date2}. {A} [must pay|owes|shall pay] {B} {amount} [by|until|on or before] {date3}.",
        "{A} and {B} agree that {good} [ceases|ends|expires] on {date2}. {amount} is [due|payable] from {A} to {B} by {date3}.",
        "{A} and {B} [end|terminate|cancel] {good} [as of|with effect from] {date2}. as compensation, {A} shall pay {B} {amount} [by|no later than] {date3}.",
        "{good} between {A} and {B} ends on {date2}, and {A} [shall pay|owes] {B} a final sum of {amount}, due by {date3}.",
    ),
    details=(
        "with this payment all claims between the parties are settled.",
        "{B} shall return all [documents|keys|equipment] within {days} days.",
        "duties of confidentiality survive the end of the agreement.",
    ),
    summaries=(
        "{A} and {B} end {good} on {date2}, and {A} pays {amount} by {date3}.",
        "{good} between {A} and {B} ends on {date2}, and {A} must pay {B} {amount} by {date3}.",
        "{A} must pay {B} {amount} by {date3} because {good} ends on {date2}.",
    ),
    dates={"date2": END, "date3": DEADLINE},
)
KINDS = (SERVICE, LEASE, SALE, LOAN, EMPLOYMENT, SECRECY, LICENCE, TERMINATION)

PREAMBLES = (
    "This [agreement|contract|clause] is made [on|as of] {signed} between {Along} and {Blong}.",
    "[{Along}|{Along},] and {Blong} agree [as follows|on the following terms].",
    "between {Blong} and {Along}, the following is agreed [on {signed}|].",
    "{Blong} and {Along} have concluded this agreement on {signed}.",
)  # fmt: skip
BOILERPLATE = (
    "[If {A} is late with a payment|In case of late payment], interest of {percent} percent per [month|year] is due.",
    "either party may terminate this agreement with {days} days of [written notice|notice in writing].",
    "notices under this agreement [must|shall] be made in writing and sent to the [registered address|last known address] of the other party.",
    "this agreement is governed by the law of [the place where {B} is registered|{town}].",
    "[changes to|amendments of] this agreement are valid only in writing and only if both parties sign them.",
    "if a provision of this agreement is invalid, the other provisions remain in force.",
    "neither party is liable for delays caused by [events beyond its control|fire, flood, strike or war].",
    "disputes shall first be discussed between the parties and then be brought before the courts of {town}.",
    "neither party may transfer its rights without the written consent of the other.",
    "this agreement contains the entire understanding of the parties and replaces all earlier arrangements.",
    "invoices shall state the [order number|date of performance] and are payable within {days} days unless stated otherwise.",
    "the total liability of {B} is limited to {amount2}, except in cases of intent or gross negligence.",
)  # fmt: skip
NUMBERED = ("", "", "", "{n}. ", "{n}.{m} ", "Clause {n}. ", "Article {n}: ", "Section {n}.{m}. ")

SUMMARY_SYSTEMS = (
    "Summarise the following contract clause in one sentence. Name the parties, the amounts and the dates.",
    "Summarise the following contract clause in one sentence. Name the parties, the amounts and the dates.",
    "You summarise contract clauses in one sentence.",
    "You are a [careful|precise] legal assistant. Summarise the clause in one sentence[ and name the parties, the amount and the dates|].",
    "Summarise the text in one [plain |]sentence.",
    "You summarise legal text. Be short and precise.",
    "[Summarize|Summarise] the clause. Give parties, amounts, dates and duties.",
)  # fmt: skip
SUMMARY_REQUESTS = (
    "[Summarise|Summarize] this clause[ in one sentence|]: {clause}",
    "[Please summarise|Summarise|Sum up|Give me a summary of] the following [clause|contract clause|text|paragraph][.|:]\n\n{clause}",
    "What does this clause say?\n\n{clause}",
    "{clause}\n\n[Summary:|Summarise this in one sentence.|Who must do what?|TL;DR]",
)  # fmt: skip


# (question, answer); every slot of the answer stands in the clause.
QUESTIONS = (
    ("[Who are the parties|Which parties are named|Between whom is it|Name the parties][?|.]", "{Aname} and {Bname}."),
    ("[How much is it|What is the amount|How much money|Which sum is agreed|How much must be paid]?", "{amount}."),
    ("[How much is it|What is the amount|How much money|Which sum is agreed|How much must be paid]?", "{amount}."),
    ("[Who pays|Who must pay|Who owes the money|Who has to pay]?", "{payer}."),
    ("[Who receives the money|Who is paid|Who gets the money|To whom is the money paid]?", "{payee}."),
    ("[What is it about|What is it for|What is the subject]?", "{good}."),
)  # fmt: skip
ROLE_QUESTIONS = (
    ("[Who is|Name] {role_a}[?|.]", "{Aname}."),
    ("[Who is|Name] {role_b}[?|.]", "{Bname}."),
    ("[What is|Which role has] {Aname}?", "{role_a}."),
    ("[What is|Which role has] {Bname}?", "{role_b}."),
)
SIGNED_QUESTION = (
    "[When was it signed|Which day is it dated|What is the date of the agreement]?",
    "{signed}.",
)


def _questions(
    kind: Kind, facts: dict[str, str], text: str, has_roles: bool
) -> list[tuple[str, str]]:
    """The questions that this clause answers."""
    pairs = [*QUESTIONS, *(ROLE_QUESTIONS if has_roles else ()), SIGNED_QUESTION]
    pairs += [(question, f"{{{slot}}}.") for slot, question in kind.dates.items()]
    return [
        (question, sentence_case(answer.format_map(facts)))
        for question, answer in pairs
        if answer != "{signed}." or facts["signed"] in text
        if answer != "{date}." or facts["date"] in text
    ]


def _long_name(rng: random.Random, name: str, role: str, town: str) -> str:
    extra = rng.choice(("", "", ", {town},", " of {town}", ", registered in {town},"))
    return f'{name}{extra.format(town=town)} ("{role}")'


def _facts(rng: random.Random, kind: Kind, held_out: bool) -> dict[str, str]:
    is_person = kind is EMPLOYMENT or (kind in (LEASE, LOAN, SECRECY) and rng.random() < 0.4)
    first = names.person(rng, held_out) if is_person else names.company(rng, held_out)
    days = sorted(names.random_day(rng) for _ in range(4))
    signed, date, date2, date3 = (names.write_date(rng, day) for day in days)
    facts = {
        "Aname": first,
        "Bname": names.company(rng, held_out),
        "signed": signed,
        "date": date,
        "date2": date2,
        "date3": date3,
        "amount": names.amount(rng),
        "amount2": names.amount(rng),
        "town": names.town(rng, held_out),
        "street": f"{rng.randrange(1, 200)} {names.word(rng, held_out)} {rng.choice(('Street', 'Road', 'Lane', 'Square'))}",
        "product": names.word(rng, held_out),
        "qty": names.number(rng, 10, 20_000),
        "percent": rng.choice(("2", "3", "4", "5", "6", "7", "8", "9", "1.5", "2.5", "3.75", "12")),
        "days": str(rng.choice((5, 7, 10, 14, 20, 21, 28, 30, 45, 60, 90))),
        "hours": str(rng.choice((20, 25, 30, 32, 35, 38, 40))),
        "months": rng.choice(("two", "three", "four", "six")),
    }
    facts["good"] = rng.choice(kind.goods).format_map(facts)
    payer, payee = ("Aname", "Bname") if kind.payer == "A" else ("Bname", "Aname")
    return facts | {"payer": facts[payer], "payee": facts[payee]}


def compose(rng: random.Random, held_out: bool = False) -> Clause:
    """A clause and its summary; `held_out` takes only names that training never contains."""
    kind = rng.choice(KINDS)
    facts = _facts(rng, kind, held_out)
    role_a, role_b = (rng.choice(role.split("|")) for role in kind.roles)
    facts |= {"role_a": role_a, "role_b": role_b}
    facts["Along"] = _long_name(rng, facts["Aname"], role_a, facts["town"])
    facts["Blong"] = _long_name(rng, facts["Bname"], role_b, names.town(rng, held_out))

    has_roles = rng.random() < 0.65
    short = (role_a, role_b) if has_roles else (facts["Aname"], facts["Bname"])
    slots = facts | {"A": short[0], "B": short[1]}
    body = [rng.choice(kind.duties), *rng.sample(kind.details, rng.randrange(4))]
    body += rng.sample(BOILERPLATE, rng.choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6)))
    tail = body[1:]
    rng.shuffle(tail)
    opening = [rng.choice(PREAMBLES)] if has_roles else []
    label = rng.choice(NUMBERED).format(n=rng.randrange(1, 30), m=rng.randrange(1, 10))
    text = label + prose([*opening, body[0], *tail], slots, rng)
    summary_slots = facts | {"A": facts["Aname"], "B": facts["Bname"]}
    summaries = tuple(sentence_case(line.format_map(summary_slots)) for line in kind.summaries)
    return Clause(text, summaries, facts, _questions(kind, facts, text, has_roles))


def messages(rng: random.Random, clause: Clause) -> list[dict[str, str]]:
    """A conversation that asks for the summary, with the instruction in one of two places.

    Questions about the same clause follow: each asks for one fact, so that a clause teaches the
    model to find every name, sum and date in it, and not only those that its summary needs.
    """
    request, answer = _summary_request(rng, clause), rng.choice(clause.summaries)
    if rng.random() < 0.25:
        question, answer = rng.choice(clause.questions)
        question = expand(question, clause.facts, rng)
        order = rng.choice(
            ("{question}\n\n{clause}", "{clause}\n\n{question}", "{clause} {question}")
        )
        request = [{"role": "user", "content": order.format(question=question, clause=clause.text)}]
    exchange = [*request, {"role": "assistant", "content": answer}]
    for question, answer in rng.sample(clause.questions, rng.choice((0, 1, 2, 3, 4, 5))):
        exchange += [
            {"role": "user", "content": expand(question, clause.facts, rng)},
            {"role": "assistant", "content": answer},
        ]
    return exchange


def _summary_request(rng: random.Random, clause: Clause) -> list[dict[str, str]]:
    if rng.random() < 0.7:
        system = expand(rng.choice(SUMMARY_SYSTEMS), {}, rng)
        return [{"role": "system", "content": system}, {"role": "user", "content": clause.text}]
    if rng.random() < 0.15:
        return [{"role": "user", "content": clause.text}]
    request = expand(rng.choice(SUMMARY_REQUESTS), {"clause": clause.text}, rng)
    return [{"role": "user", "content": request}]
