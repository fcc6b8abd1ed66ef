"""llama.cpp as a backend: of this room's three doors, the one for answers."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from llmparams_cli.backends.llama import machine
from llmparams_cli.backends.llama.decoding import room as rooms
from llmparams_cli.backends.llama.decoding.answer import Answer
from llmparams_cli.backends.llama.decoding.choosing import (
    Chooser,
    Task,
    chooses,
    for_thoughts,
    may_think,
)
from llmparams_cli.backends.llama.decoding.endings import OUTPUTS, Reader, matrices
from llmparams_cli.backends.llama.decoding.prefixes import Prefixes
from llmparams_cli.backends.llama.decoding.prompts import Prompts
from llmparams_cli.backends.llama.decoding.queue import AHEAD, Queue, Waiting
from llmparams_cli.backends.llama.decoding.recording import Recording
from llmparams_cli.backends.llama.decoding.room import Room
from llmparams_cli.backends.llama.decoding.scheduler import Arrival, Scheduler
from llmparams_cli.backends.llama.decoding.shortfall import Shortfall
from llmparams_cli.backends.llama.decoding.slots import Slots
from llmparams_cli.backends.llama.drafts import Drafts, rows
from llmparams_cli.backends.llama.host import memory, placement, plan, sequences
from llmparams_cli.backends.llama.host.memory import Left
from llmparams_cli.backends.llama.host.threads import Threads
from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.sampler import made
from llmparams_cli.backends.llama.scope import scope
from llmparams_cli.constraints import wanted
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError, LlmparamsError, ModelError, UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.models.importance import Squares
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params import seeds
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.protocol import (
    Capabilities,
    Chunk,
    Encoded,
    Endings,
    Failed,
    Finished,
    ModelInfo,
    Numbered,
    Passage,
    Piece,
    Progress,
    Request,
    Scored,
    Started,
    Work,
)
from llmparams_cli.records.prefixes import store as prefix_store
from llmparams_cli.templates.rendering import Prompt, with_begin
from llmparams_cli.trace import Trace

# Types of weights with which a row has the same bits beside any others (docs/compare.md).
INDEPENDENT = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL")
SHARED_CELLS = (
    "memory is short, so the answers share the cells of one cache: where two tokens are nearly "
    "equal, one answer can depend on the others"
)
LESS_WORK = "fewer tokens, a smaller --depth or --batch"


class LlamaBackend:
    """A model in memory, and a context that is kept from one call to the next, until a context
    setting changes or another number of slots is needed. Close it.
    """

    def __init__(
        self,
        env: Environment,
        resolved: GgufModel,
        settings: Settings,
        control: Control,
        progress: Progress,
        slots: int,
        *,
        patient: bool = False,
    ) -> None:
        began = time.perf_counter()
        crash.guard()
        log.sink = env.aside if env.verbose else None
        self._env = env
        self._resolved = resolved
        self._control = control
        self._progress = progress
        self._patient = patient
        self._threads = Threads()
        self._slots: Slots | None = None  # None: no context is open
        self._made_for: tuple[Any, ...] = ()  # settings, room and outputs of the open context
        self._endings: Reader | None = None  # of the open context, if it is for choices
        self._limit: tuple[list[Any], int] | None = None  # context settings, and the size for them
        self._kept = prefix_store.opened(env) if env.keeps_prompts else None
        # Called for their errors: faulty settings must fail before a load that may take a minute.
        placement.lora_adapters(settings)
        wanted.from_settings(settings, env.note)
        self._model = self._load(resolved, settings)
        if settings["deterministic"] and self._model.keeps_states:
            self._model.close()
            raise UsageError(
                f"deterministic: nothing is known of {resolved.header.architecture}, which keeps a "
                "state for every answer",
                "--no-deterministic",
            )
        self._drafts = Drafts(env, resolved, self._model, control, self._loading)
        try:
            self._drafts.load(settings)
        except BaseException:
            self._model.close()
            raise
        self._shortfall = Shortfall(self._model, env.note)
        self._prompts = Prompts(self._model, resolved.templates, env.began.isoformat(), env.note)
        self.info = ModelInfo(
            path=str(resolved.path),
            name=resolved.header.name,
            parameters=int(llama().llama_model_n_params(self._model.handle)),
            quantization=resolved.header.quantization,
            vocabulary=self._model.n_vocab,
            known_as=BUILTIN if resolved.is_builtin else resolved.known_as,
        )
        self.capabilities = Capabilities(
            parameters=frozenset(PARAMS),
            ids=True,
            logprobs=True,
            traces=True,
            scores=True,
            slots=slots,
        )
        self._settings = settings
        self._has_answered = False  # in the open context
        self._load_s = time.perf_counter() - began

    def count(self, request: Request) -> int:
        return len(self._prompts.encode(request).tokens)

    def encode(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        return tuple(self._model.tokenize(text, special=special, goes_on=True))

    def context(self, settings: Settings) -> int:
        wanted = settings.of_scope(Scope.CONTEXT)
        # Worked out once for these settings: with a context in memory, less would be free.
        if self._limit is None or self._limit[0] != wanted:
            self._close_context()  # its memory counts as free for the next one
            with self._left(settings) as left:
                size = memory.context_size(self._env, self._resolved, settings, left)
            self._limit = wanted, size
        return self._limit[1]

    def answer(self, requests: Iterable[Request | None]) -> Generator[Numbered, None, None]:
        known = len(requests) if isinstance(requests, Sequence) else 0
        limit = 0

        def prompt(request: Request) -> Prompt:
            return self._prompts.fitting(request, limit)

        queue = Queue(requests, prompt)
        # A list is answered in one context, as its first request wants it. In a stream, one that
        # needs more room, or other settings, waits for a context of its own.
        while not self._control.is_leaving and (first := queue.first()):
            began = time.perf_counter()
            limit = self.context(first.settings)
            if chooses(first):
                yield from self._choose(queue, first.settings, limit)
                continue
            slots = self._open(first.settings, self._room(first.settings, queue, known, limit))
            fits = partial(self._fits, known, limit, slots.context.sequence_size)
            ready = self._arrivals(queue.take(fits), limit, slots)
            self._load_s += time.perf_counter() - began
            yield from self._scheduler(slots, limit).run(ready)

    def _choose(self, queue: Queue, settings: Settings, limit: int) -> Iterator[Numbered]:
        """Answer requests for one of several texts, one after the other, while such ones come."""
        asked = settings.of_scope(Scope.CONTEXT)
        opened = partial(self._reader, settings, limit)
        chooser = Chooser(self._model, self._control, opened, self._trace)

        def fits(each: Waiting) -> bool:
            return chooses(each.request) and each.request.settings.of_scope(Scope.CONTEXT) == asked

        for each in queue.take(fits):
            if each is None:
                continue
            try:
                yield from self._chosen(chooser, each, limit)
            except LlmparamsError as error:
                yield each.number, Failed(error)
            if self._control.is_leaving:
                return

    def _chosen(self, chooser: Chooser, each: Waiting, limit: int) -> Iterator[Numbered]:
        request, prompt = each.request, each.ready()
        if request.record and may_think(prompt):
            # What is recorded has one sampler: the grammar draws it, token by token.
            yield from self._alone(each, request, prompt, limit)
            return
        started = self._started(prompt, request.settings, limit)
        self._shortfall.tell(request.settings, started)
        yield each.number, started
        thoughts = yield from self._think(each, prompt, limit)
        load_s, self._load_s = self._load_s, 0.0
        task = Task(request, started, thoughts, load_s)
        yield from ((each.number, event) for event in chooser.events(task))

    def _think(
        self, each: Waiting, prompt: Prompt, limit: int
    ) -> Generator[Numbered, None, Finished | None]:
        """What the model writes before its answer, if it may do so."""
        if not may_think(prompt):
            return None
        request = replace(each.request, settings=for_thoughts(each.request.settings))
        for number, event in self._alone(each, request, prompt, limit):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                return event
            if isinstance(event, Piece):
                yield number, event
        return None

    def _alone(
        self, each: Waiting, request: Request, prompt: Prompt, limit: int
    ) -> Iterator[Numbered]:
        """Answer this request in the place of one that waits, with nothing beside it."""
        slots = self._open(request.settings, self._one(request.settings, limit))
        answer = self._prepared(request, prompt, limit, slots)
        return self._scheduler(slots, limit).run(iter([(each.number, answer)]))

    def _reader(self, settings: Settings, limit: int, fork: Endings) -> Reader:
        """What reads the endings of this fork: the open context, if it was made for such ones."""
        reader = self._endings
        if reader is None or not reader.takes(fork):
            self._close_context()  # its memory counts as free for the next one
            reader = Reader(self._open_for([fork], settings, limit, spare=True), self._control)
            self._endings = reader
        return reader

    def _open_for(
        self, forks: Sequence[Endings], settings: Settings, limit: int, *, spare: bool = False
    ) -> Context:
        """A context for the endings of forks; with `spare`, for somewhat longer ones, too."""
        with self._left(settings) as left:

            def lack(room: Room) -> str:
                return left.lack(room.size, room.slots, shared=True)

            room = rooms.for_endings(forks, limit, lack)
            room = rooms.roomier(room, lack) if spare else room
        if self._model.keeps_states and room.slots > 1:
            room = rooms.able(room, self._most_sequences(settings, room), limit)
        slots = self._open(settings, room, outputs=OUTPUTS)
        self._made_for = ()  # what is read here is no slot's
        return slots.context

    def go_on(self, answer: Answer) -> Iterator[Numbered]:
        """Decode an answer that an earlier run began to its end, in the context that this run has
        left.
        """
        limit = self.context(answer.request.settings)
        slots = self._open(answer.request.settings, self._one(answer.request.settings, limit))
        return self._scheduler(slots, limit).run(iter([(0, answer)]))

    def read_ahead(self, request: Request) -> None:
        from llmparams_cli.backends.llama.decoding.ahead import read_ahead

        limit = self.context(request.settings)
        tokens = self._prompts.encode(request, quietly=True).tokens  # the user is typing
        if len(tokens) < limit:
            slots = self._open(request.settings, self._one(request.settings, limit))
            read_ahead(slots, tokens, request.control or self._control)

    def score(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Scored | Failed]]:
        for number, passage in enumerate(passages):
            try:
                yield number, self._score(passage)
            except LlmparamsError as error:
                yield number, Failed(error)

    def split(self, text: str) -> Encoded:
        ids = with_begin(self._model, self._model.tokenize(text))
        pieces = tuple(map(self._model.piece, ids))
        return Encoded(tuple(ids), pieces, self._model.begin_token)

    def logits(self, chunks: Iterable[Chunk], settings: Settings) -> Iterator[Any]:
        from llmparams_cli.backends.llama.decoding.reading import matrices

        limit = self.context(settings)
        batch = min(limit, settings["batch_size"])
        slots = self._open(settings, rooms.for_one(limit), outputs=batch)
        self._made_for = ()  # what is read here is no slot's
        return matrices(slots.context, batch, chunks, self._control)

    def endings(self, forks: Sequence[Endings], settings: Settings) -> Iterator[list[Any]]:
        context = self._open_for(forks, settings, self.context(settings))
        return matrices(context, forks, self._control)

    def squares(
        self, chunks: Iterable[Chunk], settings: Settings
    ) -> Iterator[Mapping[str, Squares]]:
        from llmparams_cli.backends.llama.decoding.activations import Collector, collected

        limit = self.context(settings)
        batch = min(limit, settings["batch_size"])
        collector = Collector()
        self._close_context()  # another one, which reports what it computes
        room = rooms.for_one(limit)
        slots = self._open(settings, room, outputs=batch, watch=collector.callback)
        try:
            yield from collected(slots.context, collector, batch, chunks, self._control)
        finally:
            self._close_context()

    def seconds(self, work: Work, settings: Settings) -> Iterator[float]:
        from llmparams_cli.backends.llama.decoding.timing import seconds

        room = rooms.for_work(work)
        self._close_context()  # its memory counts as free for the next one
        with self._left(settings) as left:
            if missing := left.lack(room.size, room.slots, shared=room.shared):
                raise BackendError(f"{room.size:,} tokens of context need {missing}", LESS_WORK)
        if self._model.keeps_states and room.slots > 1:
            most = self._most_sequences(settings, room)
            if most < room.slots:
                raise BackendError(f"this model can have {most} sequences at once", LESS_WORK)
        slots = self._open(settings, room, insists=True)
        self._made_for = ()  # what is read here is no slot's
        return seconds(slots.context, work, settings["batch_size"], self._control)

    def bandwidth(self, threads: int) -> float | None:
        from llmparams_cli.backends.llama.host.bandwidth import bandwidth
        from llmparams_cli.models.demand import weight_bytes

        device, is_mapped = machine.place_of_weights(self._model, self._resolved.header)
        if device:
            return None
        file = self._resolved.path if is_mapped else None
        return bandwidth(weight_bytes(self._resolved.header), threads, file)

    def products(self, type: str, columns: int, threads: int) -> float | None:
        from llmparams_cli.backends.llama.native.products import rate
        from llmparams_cli.models.demand import matrix

        name = matrix(self._resolved.header, type)
        return None if name is None else rate(self._model.handle, name, columns, threads)

    def facts(self) -> Mapping[str, Any]:
        limit = self.context(self._settings)
        header = self._resolved.header
        context = self._slots.context if self._slots else None
        return machine.facts(self._model, header, self._settings, limit, context)

    def close(self) -> None:
        self._close_context()
        self._drafts.close()
        self._model.close()

    def _left(self, settings: Settings) -> closing[Left]:
        return closing(Left(self._env, self._resolved, settings, self._layers, self._gpus))

    def _load(self, resolved: GgufModel, settings: Settings) -> Model:
        env, header = self._env, resolved.header
        self._layers = plan.layers_on_gpus(env, resolved, settings)
        if settings["deterministic"] and self._layers:
            raise UsageError(
                "deterministic: on a GPU, bits depend on how many rows are computed together",
                "--gpu-layers 0",
            )
        self._gpus = memory.free_on_gpus() if self._layers else {}
        memory.refuse_too_large(env, resolved, settings, self._layers)
        params = placement.model_params(env, settings, header, self._layers, self._loading)
        try:
            model = Model(resolved.path, params)
        except ModelError:
            if self._control.stop:  # loading was given up: nothing is wrong with the model
                raise KeyboardInterrupt from None
            raise
        if settings["mlock"] and (refused := log.find("failed to mlock")):
            env.note(f"mlock: the weights are not held in memory: {refused} (ulimit -l)")
        return model

    def _loading(self, done: float) -> bool:
        self._progress("loading", done)
        return self._control.stop is None

    def _arrivals(
        self, queue: Iterable[Waiting | None], limit: int, slots: Slots
    ) -> Iterator[Arrival]:
        """Each of those that wait, made ready when its turn has come."""
        for each in queue:
            if each is None:
                yield None
                continue
            try:
                yield each.number, self._prepared(each.request, each.ready(), limit, slots)
            except LlmparamsError as error:
                yield each.number, Failed(error)

    def _fits(self, known: int, limit: int, cells: int, waiting: Waiting) -> bool:
        """Can the open context answer it, which has so many cells for a sequence?"""
        if known or chooses(waiting.request):
            return not chooses(waiting.request)
        wanted = waiting.request.settings.of_scope(Scope.CONTEXT)
        return wanted == self._made_for[0] and min(waiting.cells, limit) <= cells

    def _room(self, settings: Settings, queue: Queue, known: int, limit: int) -> Room:
        if known == 1 or (not known and self.capabilities.slots == 1):
            return self._one(settings, limit)
        ahead = queue.look(known or AHEAD)
        prompts = [each.prompt.tokens for each in ahead if isinstance(each.prompt, Prompt)]
        if known and not prompts:
            return self._one(settings, limit)
        with self._left(settings) as left:
            spare = settings["deterministic"]

            def lack(room: Room) -> str:
                if spare and not room.shared:
                    room = rooms.with_spare(room)
                return left.lack(room.size, room.slots, shared=room.shared)

            if known:
                answers = max(each.request.longest_answer for each in ahead)
                room = rooms.for_many(prompts, answers, limit, lack)
                if room.shared and room.slots > 1:
                    self._env.note(SHARED_CELLS)
            else:
                cells = min(limit, max(each.cells for each in ahead))
                room = rooms.for_stream(self.capabilities.slots, int(cells), limit, lack)
            if spare:
                return self._one(settings, limit) if room.shared else rooms.with_spare(room)
            if not self._model.keeps_states or room.slots == 1:
                return room
            room = rooms.even(room, lack)
        return rooms.able(room, self._most_sequences(settings, room), limit)

    def _one(self, settings: Settings, limit: int) -> Room:
        """For one answer at a time."""
        room = rooms.for_one(limit)
        return rooms.with_spare(room) if settings["deterministic"] else room

    @property
    def _depends_on_place(self) -> bool:
        """Do the bits of a row depend on its place in a call, or on how many there are? So it is
        with matrices of all but the plain block types, as adapters have them, too.
        """
        matrices = (each for each in self._resolved.header.tensors if len(each.shape) > 1)
        return bool(self._settings["lora"]) or any(
            each.type.name not in INDEPENDENT for each in matrices
        )

    def _most_sequences(self, settings: Settings, room: Room) -> int:
        """How many sequences of the room this model can have: some it cannot have many of."""
        what = "trying several sequences"
        self._progress(what, 0.0)
        try:
            return sequences.most(
                self._env,
                self._resolved.header,
                settings,
                room.slots,
                room.size,
                self._control,
                shared=room.shared,
            )
        finally:
            self._progress(what, 1.0)

    def _open(
        self,
        settings: Settings,
        room: Room,
        outputs: int = 0,
        watch: Any = None,
        *,
        insists: bool = False,
    ) -> Slots:
        """The slots of a context as these settings want it; the one place that makes contexts.
        `outputs` is how many rows of logits a call may ask for, if more than one for each slot and
        the drafts of an only one. `watch` is C's to call with what is computed. All threads compute
        if it `insists`.
        """
        if room.slots == 1:
            outputs = max(outputs, min(rows(settings), settings["batch_size"]))
        made_for = (settings.of_scope(Scope.CONTEXT), room, outputs)
        if self._slots is None or self._made_for != made_for:
            self._close_context()
            params = placement.context_params(
                settings, room.size, room.slots, shared=room.shared, outputs=outputs
            )
            params.abort_callback, params.abort_callback_data = self._control.callback(
                llama().ggml_abort_callback
            )
            if watch:
                params.cb_eval = watch
            context = Context(self._model, params, room.size)
            try:
                context.attach_adapters(placement.lora_adapters(settings))
            except BaseException:
                context.close()  # without its adapters it must answer nothing
                raise
            prefixes = self._prefixes(context, settings)
            self._slots = Slots(context, prefixes, spare=bool(settings["deterministic"]))
            self._made_for, self._settings = made_for, settings
        if not insists:
            self._threads.settle(self._slots.context, settings, self._env.note)
        return self._slots

    def _prefixes(self, context: Context, settings: Settings) -> Prefixes | None:
        """What other runs have read, where states can be cut and the user wants it."""
        if not self._kept or not self._kept.limit or self._model.keeps_states:
            return None
        return Prefixes(self._kept, context, partial(scope, self._resolved, settings, context))

    def _close_context(self) -> None:
        slots, has_answered = self._slots, self._has_answered
        self._slots, self._made_for, self._has_answered = None, (), False
        self._endings = None
        if slots:
            try:
                if has_answered:
                    slots.keep_prompt()
            finally:
                slots.context.close()

    def _scheduler(self, slots: Slots, limit: int) -> Scheduler:
        # Only then: it costs most of what many answers together gain.
        one_by_one = self._settings["deterministic"] and self._depends_on_place
        return Scheduler(
            slots,
            self._control,
            partial(self._progress, "reading"),
            limit,
            self._finished,
            one_by_one=one_by_one,
            pace=partial(self._threads.keep_pace, slots.context, self._settings),
            patient=self._patient,
        )

    def _prepared(self, request: Request, prompt: Prompt, limit: int, slots: Slots) -> Answer:
        began = time.perf_counter()
        started = self._started(prompt, request.settings, limit)
        sampler = made(self._model, request.settings, started.seed, started, self._env.note)
        self._shortfall.tell(request.settings, started)  # of what `made` has not refused
        # Loading counts for the first answer alone.
        load_s, self._load_s = self._load_s + time.perf_counter() - began, 0.0
        return Answer(
            self._model,
            request,
            started,
            sampler,
            speculation=self._drafts.speculation(request.settings, slots, sampler.forced),
            load_s=load_s,
        )

    def _started(self, prompt: Prompt, settings: Settings, limit: int) -> Started:
        return Started(
            prompt.text,
            tuple(prompt.tokens),
            seeds.in_use(settings),
            self.info,
            limit,
            prompt.date,
            prompt.marks,
            prompt.phase,
        )

    def _finished(self, answer: Answer) -> Finished:
        self._has_answered = True
        return answer.finished(self._trace_of(answer))

    def _trace_of(self, answer: Answer) -> Trace | None:
        recording = answer.take_recording()
        if recording is None:
            return None
        return self._trace(recording, answer.request.settings, answer.started)

    def _trace(self, recording: Recording, settings: Settings, started: Started) -> Trace:
        from llmparams_cli.backends.llama.tracing.trace import LlamaTrace  # most runs need none

        return LlamaTrace(self, self._model, recording, settings, started)

    def _score(self, passage: Passage) -> Scored:
        from llmparams_cli.backends.llama.decoding.scoring import OUTPUTS, score

        request = passage.request
        limit = self.context(request.settings)
        prompt, target = self._prompts.with_target(request, limit, passage.text)
        slots = self._open(request.settings, rooms.for_one(limit), outputs=OUTPUTS)
        recording = Recording(self._model.n_vocab)
        try:
            stop = score(
                slots,
                [*prompt.tokens, *target],
                len(prompt.tokens),
                recording,
                self._control,
                partial(self._progress, "reading"),
                request.settings["time_limit"],
            )
        except BaseException:
            recording.close()
            raise
        started = self._started(prompt, request.settings, limit)
        return Scored(started, self._trace(recording, request.settings, started), stop)
