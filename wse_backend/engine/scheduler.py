"""Continuous batching: one thread advances all requests of an engine, token by token.

Requests join and leave the running batch between passes. A pass computes the next token of every decoding
request and, in what room is left, a chunk of the prompts that still have to be prefilled; when there are
none, drafts at the tokens after the next (see drafts.py).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter

import numpy as np
import numpy.typing as npt

from wse_backend.engine.buffers import MAX_LOGIT_ROWS, MAX_ROWS
from wse_backend.engine.completion import Chunk, FinishReason, PhaseMeasure
from wse_backend.engine.drafts import Drafter, Text
from wse_backend.engine.grammar import Grammar
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.engine.request import OnChunk, Request, shares_next_block
from wse_backend.engine.router_log import RoutedRows, RouterLog
from wse_backend.engine.sampling import SamplingParams
from wse_backend.engine.transformer import PassResult, Row, Transformer
from wse_backend.engine.waiting_line import WaitingLine
from wse_backend.errors import EngineClosed, EngineFailed, NotFinite, OutOfMemory, QueueFull, WseError
from wse_backend.weights.tokenizer import StreamDecoder, Tokenizer

logger = logging.getLogger(__name__)

MAX_WAITING = 512  # requests in the queue before new ones are refused
PASS_TARGET_S = 0.06  # while others decode, a pass takes prefill rows for about so long
OWN_PASS_TARGET_S = 0.25  # and for so long while only the prompt's owner does, who waits for both anyway
MIN_PREFILL_ROWS = 16
FEW_RUNNING = 4  # up to so many requests tell their listeners of every token at once
SAY_INTERVAL_S = 0.2  # of more, so often: every listener that wakes holds up the passes, by the GIL
KEEP_IDLE_S = 600.0  # so long an idle engine keeps its prefix cache


class RequestHandle:
    """The caller's handle on a submitted request."""

    def __init__(self, request: Request, scheduler: "Scheduler") -> None:
        self._request = request
        self._scheduler = scheduler

    def cancel(self) -> None:
        """Stop the request; it leaves the batch before the next pass. Harmless when it has ended."""
        self._request.is_cancelled.set()
        self._scheduler.wake()

    @property
    def queue_position(self) -> int:
        """This request's place among those that wait, from 1; 0 once it runs."""
        return self._scheduler.position(self._request)

    @property
    def expected_wait_s(self) -> float | None:
        """Seconds until it starts, if places go on coming free as they did lately; None when nobody knows."""
        return self._scheduler.expected_wait_s(self._request)


class _Alone:
    """Work that needs the transformer for itself, between two passes."""

    def __init__(self, job: Callable[[int, list[int]], None], n_blocks: int) -> None:
        self.job = job
        self.n_blocks = n_blocks
        self.done = threading.Event()
        self.error: Exception | None = None


class Scheduler:
    """Admits, advances and retires the sequences of one transformer."""

    def __init__(
        self,
        name: str,
        transformer: Transformer,
        tokenizer: Tokenizer,
        max_waiting: int = MAX_WAITING,
        keep_idle_s: float = KEEP_IDLE_S,
        is_speculative: bool = True,
    ) -> None:
        self.name = name
        self._is_speculative = is_speculative
        self._drafter = Drafter(MAX_LOGIT_ROWS, tokenizer.stop_ids)
        self._keep_idle_s = keep_idle_s
        self._max_waiting = max_waiting
        self._transformer = transformer
        self._tokenizer = tokenizer
        self._waiting = WaitingLine()
        self._running: list[Request] = []
        self._free_slots = list(range(MAX_LOGIT_ROWS))
        self._reserved_blocks = 0
        self._alone: deque[_Alone] = deque()
        self._condition = threading.Condition()
        self._is_closed = False
        self._seconds_per_row = 0.002
        self._thread = threading.Thread(target=self._work, name=f"wse-{name}", daemon=True)
        self._thread.start()

    def submit(
        self,
        prompt: list[int],
        params: SamplingParams,
        n_new: int,
        on_chunk: OnChunk,
        owner: str = "",
        grammar: Grammar | None = None,
    ) -> RequestHandle:
        """Queue a request. Raises QueueFull, OutOfMemory (could never run), EngineClosed."""
        hp = self._transformer.hparams
        log = RouterLog(hp, len(prompt), n_new, self._tokenizer) if hp.n_experts else None
        request = Request(
            prompt, params, n_new, StreamDecoder(self._tokenizer), on_chunk, owner, hp.n_layers, grammar, log
        )
        pool = self._transformer.pool
        if request.blocks_needed > pool.n_blocks:
            what = f"the KV cache of a request of {len(prompt)} + {n_new} tokens"
            raise OutOfMemory(
                what, request.blocks_needed * pool.block_bytes, pool.n_blocks * pool.block_bytes
            )
        with self._condition:
            if self._is_closed:
                raise EngineClosed(self.name)
            if len(self._waiting) >= self._max_waiting:
                raise QueueFull(len(self._waiting), self._max_waiting)
            self._waiting.append(request)
            self._condition.notify()
        return RequestHandle(request, self)

    def run_alone(self, job: Callable[[int, list[int]], None], n_tokens: int) -> None:
        """Run job(slot, blocks) between two passes, with cache blocks for `n_tokens` of its own.

        Returns when it has run. Raises what it raises, EngineClosed, and OutOfMemory when it never could.
        """
        alone = _Alone(job, -(-n_tokens // BLOCK_POSITIONS))
        pool = self._transformer.pool
        if alone.n_blocks > pool.n_blocks:
            what = f"the KV cache of {n_tokens} tokens"
            raise OutOfMemory(what, alone.n_blocks * pool.block_bytes, pool.n_blocks * pool.block_bytes)
        with self._condition:
            if self._is_closed:
                raise EngineClosed(self.name)
            self._alone.append(alone)
            self._condition.notify()
        alone.done.wait()
        if alone.error is not None:
            raise alone.error

    def wake(self) -> None:
        with self._condition:
            self._condition.notify()

    def position(self, request: Request) -> int:
        with self._condition:
            return self._waiting.position(request, self._running)

    def expected_wait_s(self, request: Request) -> float | None:
        with self._condition:
            return self._waiting.expected_wait_s(request, self._running)

    @property
    def n_requests(self) -> tuple[int, int]:
        with self._condition:
            return len(self._running), len(self._waiting)

    @property
    def is_idle(self) -> bool:
        with self._condition:
            return not (self._waiting or self._running or self._alone)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or failed."""
        return self._is_closed

    def close(self, only_if_idle: bool = False) -> bool:
        """End all requests with EngineClosed and stop the thread; whether it did.

        only_if_idle: do nothing while a request runs or waits. One that comes later is refused.
        """
        with self._condition:
            if only_if_idle and (self._waiting or self._running or self._alone):
                return False
            self._is_closed = True
            self._condition.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        return True

    # --- the scheduler's thread ---

    def _work(self) -> None:
        try:
            while self._await_work():
                self._step()
        except Exception as exc:  # the outer edge of this thread: every caller is told
            logger.exception("the engine of %s failed", self.name)
            self._end_all(EngineFailed(self.name, f"{type(exc).__name__}: {exc}"))
        else:
            self._end_all(EngineClosed(self.name))

    def _await_work(self) -> bool:
        """Wait until there is something to do; False when closed."""

        def has_work() -> bool:
            return bool(self._is_closed or self._alone or self._waiting or self._running)

        with self._condition:
            if not self._condition.wait_for(has_work, self._keep_idle_s):
                self._transformer.pool.clear_unused()  # nobody came back: the memory goes to others
                self._condition.wait_for(has_work)
            return not self._is_closed

    def _run_alone(self) -> None:
        """Run the jobs for which there is a slot and room in the cache; they publish nothing."""
        pool = self._transformer.pool
        while self._alone and self._free_slots:
            if self._reserved_blocks + self._alone[0].n_blocks > pool.n_blocks:
                return
            with self._condition:
                alone = self._alone.popleft()
            slot, blocks = self._free_slots.pop(), [pool.allocate() for _ in range(alone.n_blocks)]
            try:
                alone.job(slot, blocks)
            except Exception as exc:  # raised again on the caller's thread
                alone.error = exc
            pool.release(blocks)
            self._free_slots.append(slot)
            alone.done.set()

    def _step(self) -> None:
        """One pass: drop the cancelled, admit the waiting, compute, and hand out the new tokens."""
        for request in [s for s in self._running if s.is_cancelled.is_set()]:
            self._finish(request, "cancelled")
        self._run_alone()
        self._admit()
        plan = self._plan()
        if not plan:
            return
        rows = [row for _, part in plan for row in part]
        result = self._transformer.run(rows)
        self._learn_speed(len(rows), result.timing.seconds)
        self._advance(plan, result)

    def _admit(self) -> None:
        """Move requests from the queue, in turns, into the batch while slots and cache blocks last."""
        with self._condition:
            cancelled = self._waiting.remove_cancelled()
            while self._waiting and self._free_slots:
                request = self._waiting.next(self._running)
                if self._reserved_blocks + request.blocks_needed > self._transformer.pool.n_blocks:
                    break  # it waits for room; nobody overtakes it for ever
                self._waiting.admit(request)
                self._reserved_blocks += request.blocks_needed
                request.slot = self._free_slots.pop()
                self._running.append(request)
            self._waiting.forget_if_empty(self._running)
        for request in cancelled:  # without the lock: a listener may take its time, or call us
            self._say_last(request, "cancelled")

    def _plan(self) -> list[tuple[Request, list[Row]]]:
        """Choose the rows of the next pass: all decoding sequences, then prompts in order of admission."""
        decoding = [s for s in self._running if not s.is_prefilling]
        if self._is_speculative and len(decoding) == len(self._running):
            return self._plan_drafts(decoding)
        plan = [(s, self._rows(s, s.tokens[-1:])) for s in decoding]
        room = self._prefill_room(decoding)
        started: list[Request] = []
        for request in self._running:
            if not request.is_prefilling or room <= 0:
                continue
            if request.n_computed == 0:
                if any(shares_next_block(request, other) for other in started):
                    continue  # the other one computes what this one can take over after the pass
                self._take_prefix(request)
            stop = min(request.n_prompt, request.n_computed + room)
            plan.append((request, self._rows(request, request.tokens[request.n_computed : stop])))
            room -= stop - request.n_computed
            started.append(request)
        return plan

    def _prefill_room(self, decoding: list[Request]) -> int:
        """How many prompt tokens the next pass takes: fewer while answers are being written.

        Never fewer than twice the answers under way, which take about as long (an answer's row goes through
        the head too): with thirty people writing, whoever comes next would else wait for them all.
        """
        room = MAX_ROWS - len(decoding)
        if not decoding:
            return room
        owners = {s.owner for s in self._running}
        target = OWN_PASS_TARGET_S if len(owners) == 1 and owners != {""} else PASS_TARGET_S
        return min(room, max(MIN_PREFILL_ROWS, 2 * len(decoding), int(target / self._seconds_per_row)))

    def _plan_drafts(self, decoding: list[Request]) -> list[tuple[Request, list[Row]]]:
        """The next token of every sequence, and drafts of those after it where they pay."""
        texts = [Text(s.lookup, s.n_left - 1, s.owner) for s in decoding]
        drafts = [
            draft if s.grammar is None else s.grammar.allowed_prefix(draft)
            for s, draft in zip(decoding, self._drafter.choose(texts), strict=True)
        ]
        return [(s, self._rows(s, [s.tokens[-1], *draft])) for s, draft in zip(decoding, drafts, strict=True)]

    def _take_prefix(self, request: Request) -> None:
        pool = self._transformer.pool
        if request.blocks:
            return
        request.blocks = pool.match(request.tokens)
        request.n_published = len(request.blocks)
        request.n_computed = request.n_cached = request.n_published * BLOCK_POSITIONS
        self._transformer.set_table(request.slot, request.blocks)

    def _rows(self, request: Request, tokens: list[int]) -> list[Row]:
        """Rows for `tokens` from where the request's cache ends; logits from the newest token on."""
        rows = []
        for position, token in enumerate(tokens, request.n_computed):
            if position // BLOCK_POSITIONS == len(request.blocks):
                request.blocks.append(self._transformer.pool.allocate())
                self._transformer.set_table(request.slot, request.blocks)
            rows.append(Row(token, position, request.slot, position >= len(request.tokens) - 1))
        return rows

    def _learn_speed(self, n_rows: int, seconds: float) -> None:
        if n_rows <= MAX_LOGIT_ROWS:
            self._drafter.cost.learn(n_rows, seconds)
        if n_rows >= MIN_PREFILL_ROWS:
            self._seconds_per_row = 0.7 * self._seconds_per_row + 0.3 * seconds / n_rows

    def _advance(self, plan: list[tuple[Request, list[Row]]], result: PassResult) -> None:
        """Book the pass for each of its requests; those whose tokens are all computed get new ones."""
        timing, next_logits, first = result.timing, iter(result.logits), 0
        for request, rows in plan:
            part = slice(first, first + len(rows))
            broken = [result.broken[i] for i in range(part.start, part.stop) if i in result.broken]
            first = part.stop
            if broken:
                for _ in range(sum(row.wants_logits for row in rows)):
                    next(next_logits)
                self._fail(request, NotFinite(self.name, broken[0]))
                continue
            if request.router_log is not None and result.routed is not None:
                routed = RoutedRows(result.routed.chosen[part], result.routed.shares[part])
                request.router_log.put(rows[0].position, routed)
            phase = request.prefill if request.is_prefilling else request.decode
            phase.add(timing.seconds, timing.layers_ms, timing.head_ms)
            n_wanted = sum(row.wants_logits for row in rows)
            phase.drafted += max(0, n_wanted - 1)
            request.n_computed += len(rows) - n_wanted
            phase.tokens += len(rows) - n_wanted
            self._publish(request)
            self._take(request, phase, [(row, next(next_logits)) for row in rows[len(rows) - n_wanted :]])

    def _take(
        self, request: Request, phase: PhaseMeasure, rows: list[tuple[Row, npt.NDArray[np.float32]]]
    ) -> None:
        """Sample from the newest token's logits, and from those of the drafts as long as they are right."""
        for n_before, (row, logits) in enumerate(rows):
            if n_before:
                is_right = row.token == request.tokens[row.position]
                self._drafter.rates.learn(request.lookup.n_matched + n_before - 1, is_right)
                if not is_right:
                    break
            request.n_computed += 1
            phase.tokens += 1
            self._publish(request)
            try:
                token = request.sampler.choose(logits)
            except FloatingPointError:
                self._fail(request, NotFinite(self.name, "sampling"))
                break
            if not self._append(request, token):
                break

    def _publish(self, request: Request) -> None:
        """Let others use the blocks that are now computed; they may have computed the same before."""
        while request.n_published < request.n_computed // BLOCK_POSITIONS:
            index = request.n_published
            tokens = request.tokens[index * BLOCK_POSITIONS : (index + 1) * BLOCK_POSITIONS]
            mine = request.blocks[index]
            self._transformer.pool.publish(request.blocks, index, tokens)
            if request.blocks[index] != mine:
                self._transformer.set_table(request.slot, request.blocks)
            request.n_published += 1

    def _append(self, request: Request, token: int) -> bool:
        """Add a sampled token, pass its text on, and end the request where it ends; whether it goes on."""
        if request.first_token_at is None:
            request.first_token_at = perf_counter()
        if token in self._tokenizer.stop_ids:
            self._finish(request, "stop")
            return False
        request.tokens.append(token)
        shown = request.stop_filter.feed(request.decoder.push(token))
        if shown:
            request.text.append(shown)
        is_whole = request.grammar is not None and request.grammar.is_complete
        if request.stop_filter.is_stopped or is_whole:
            self._finish(request, "stop", shown)
        elif request.n_left <= 0:
            self._finish(request, "length", shown)
        else:
            request.unsaid_text += shown
            request.unsaid_tokens.append(token)
            now = perf_counter()
            if len(self._running) <= FEW_RUNNING or now >= request.said_at + SAY_INTERVAL_S:
                request.said_at = now
                self._say_so_far(request)
            return True
        return False

    def _say_so_far(self, request: Request) -> None:
        if request.unsaid_tokens:
            said = Chunk(request.unsaid_text, tuple(request.unsaid_tokens))
            request.unsaid_text, request.unsaid_tokens = "", []
            self._say(request, said)

    def _finish(self, request: Request, reason: FinishReason, last_text: str = "") -> None:
        self._retire(request)
        self._say_last(request, reason, last_text)

    def _say_last(self, request: Request, reason: FinishReason, last_text: str = "") -> None:
        tail = ""
        if not request.stop_filter.is_stopped:
            tail = request.stop_filter.feed(request.decoder.finish()) + request.stop_filter.flush()
            request.text.append(tail)
        last_tokens = request.tokens[-1:] if last_text or reason == "length" else []
        said = request.unsaid_text + last_text + tail
        self._say(request, Chunk(said, (*request.unsaid_tokens, *last_tokens), request.completion(reason)))

    def _fail(self, request: Request, error: WseError) -> None:
        self._retire(request)
        self._say_so_far(request)
        self._say(request, Chunk("", error=error))

    def _retire(self, request: Request) -> None:
        """Take a request out of the batch and give its slot and blocks back."""
        self._running.remove(request)
        self._transformer.pool.release(request.blocks)
        request.blocks = []
        self._reserved_blocks -= request.blocks_needed
        self._free_slots.append(request.slot)

    def _say(self, request: Request, chunk: Chunk) -> None:
        try:
            request.on_chunk(chunk)
        except Exception:  # the outer edge of a caller's callback: one bad listener must not stop the batch
            logger.exception("a listener of %s failed; its request is cancelled", self.name)
            request.is_cancelled.set()

    def _end_all(self, error: WseError) -> None:
        with self._condition:
            self._is_closed = True
            ended = [*self._running, *self._waiting]
            self._running, self._waiting = [], WaitingLine()
            alone, self._alone = self._alone, deque()
        for request in ended:
            self._say_so_far(request)
            self._say(request, Chunk("", error=error))
        for job in alone:
            job.error = error
            job.done.set()
