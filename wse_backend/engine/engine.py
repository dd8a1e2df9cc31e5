"""The engine: one model, ready to answer any number of requests at once."""

import queue
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wse_backend import models
from wse_backend.engine.buffers import MAX_LOGIT_ROWS, MAX_ROWS
from wse_backend.engine.completion import Chunk, Completion, RoutedTokens
from wse_backend.engine.grammar import Grammars
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.engine.kv_cache import block_bytes
from wse_backend.engine.matrices import weights_bytes
from wse_backend.engine.router_log import RoutedRows
from wse_backend.engine.sampling import SamplingParams
from wse_backend.engine.scheduler import KEEP_IDLE_S, MAX_WAITING, RequestHandle, Scheduler
from wse_backend.engine.threads import shared_team
from wse_backend.engine.transformer import PassResult, Row, Transformer
from wse_backend.errors import ContextOverflow, NotFinite, OutOfMemory
from wse_backend.machine import memory_available_bytes
from wse_backend.weights.catalog import Progress
from wse_backend.weights.chat_template import ChatTemplate
from wse_backend.weights.gguf_file import GGUFFile, open_gguf
from wse_backend.weights.tokenizer import Tokenizer

Messages = Sequence[Mapping[str, str]]

MIB = 1 << 20
KV_CACHE_BYTES = 512 * MIB  # most of the KV cache of one engine; only what is used takes memory
MIN_KV_CACHE_BYTES = 48 * MIB
OVERHEAD_BYTES = 64 * MIB  # vocabulary, buffers, machine code


class Engine:
    """A model loaded from a GGUF file. Thread-safe: one engine serves every session of the process.

    The text of a request depends on weights, messages and parameters only: not on what else runs, on what
    the prefix cache holds, on how prompts are split into passes, or on the processor.
    """

    def __init__(
        self,
        name: str,
        gguf: GGUFFile,
        kv_cache_bytes: int,
        progress: Progress | None = None,
        max_waiting: int = MAX_WAITING,
        keep_idle_s: float = KEEP_IDLE_S,
        is_speculative: bool = True,
    ) -> None:
        """Use `Engine.load`, or an `EnginePool`, unless the file is open and its memory planned already.

        max_waiting: how many requests may queue before new ones are refused with QueueFull; keep_idle_s:
        how long an idle engine keeps its prefix cache before it gives the memory back; is_speculative:
        whether passes also compute drafts of the coming tokens (faster, and the same text).
        """
        self.name = name
        self.path = gguf.path
        self.size_bytes = weights_bytes(gguf)  # in memory
        self.kv_cache_bytes = kv_cache_bytes
        hp = gguf.hparams
        full = -(-hp.n_ctx // BLOCK_POSITIONS) * MAX_LOGIT_ROWS  # every sequence with a full context
        n_blocks = min(full, kv_cache_bytes // block_bytes(gguf))
        self.n_ctx = min(hp.n_ctx, n_blocks * BLOCK_POSITIONS)
        self.n_layers, self.vocab_size = hp.n_layers, hp.vocab_size
        self.n_heads, self.n_experts = hp.n_heads, hp.n_experts
        self._tokenizer = Tokenizer.from_gguf(gguf)
        self._grammars = Grammars(self._tokenizer)
        self._template = ChatTemplate.from_gguf(gguf, self._tokenizer)
        self._transformer = Transformer(gguf, n_blocks, shared_team(), progress)
        self._scheduler = Scheduler(
            name, self._transformer, self._tokenizer, max_waiting, keep_idle_s, is_speculative
        )
        try:
            self._warm_up(progress)
        except BaseException:  # the caller's progress may raise too: nobody would ever close this engine
            self.close()
            raise

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        progress: Progress | None = None,
        kv_cache_bytes: int | None = None,
        is_speculative: bool = True,
    ) -> "Engine":
        """Load a model by its name (fetched when missing) or by the path of a GGUF file.

        progress(stage, done, total) is called while it downloads and compiles. kv_cache_bytes: the most the
        KV cache may take; by default up to 512 MiB, less on a small machine. is_speculative: see __init__.
        Raises UnknownModel, DownloadFailed, BrokenGGUF, Unsupported, OutOfMemory.
        """
        path = models.ensure(str(name_or_path), progress)
        gguf = open_gguf(path)
        name = str(name_or_path) if str(name_or_path) in models.CARDS else path.stem
        if kv_cache_bytes is None:
            kv_cache_bytes = plan_memory(name, gguf, memory_available_bytes())
        return cls(name, gguf, kv_cache_bytes, progress, is_speculative=is_speculative)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`; the texts of control tokens (`<|im_end|>`) become those tokens."""
        return self._tokenizer.encode(text)

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of token ids. Raises ValueError on an id outside the vocabulary."""
        return self._tokenizer.decode(ids)

    def render(self, messages: Messages) -> str:
        """The prompt of a conversation by the model's own chat template, up to where the answer begins."""
        return self._template.render(messages)

    @property
    def prompt_changes(self) -> tuple[str, ...]:
        """What conversations go through before the model's chat template takes them, in sentences."""
        return self._template.changes

    @property
    def thinks(self) -> bool:
        """Whether the model's chat template knows of thinking before the answer."""
        return self._template.mentions_thinking

    def count_tokens(self, messages: Messages) -> int:
        """How many tokens the prompt of a conversation has."""
        return len(self._template.encode_chat(messages))

    def prepare_schema(self, schema: str) -> None:
        """Compile a JSON Schema ahead of the requests that have it; the first one takes up to a second.

        Raises InvalidParams when no grammar can be made of it.
        """
        self._grammars.start(schema, 1)

    def submit(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        on_chunk: Callable[[Chunk], None] = lambda chunk: None,
        owner: str = "",
    ) -> RequestHandle:
        """Queue a request and return at once.

        `on_chunk` is called on the engine's thread for every piece and must not block; the last piece
        carries the completion or the error. Requests of one `owner` (a browser session) take turns with
        those of the others. The first request with a schema takes up to a second. Raises ContextOverflow,
        QueueFull, OutOfMemory, InvalidMessages; InvalidParams for a schema of which no grammar can be made.
        """
        params = params or SamplingParams()
        prompt = self._template.encode_chat(messages, effort=params.reasoning_effort)
        if len(prompt) >= self.n_ctx:
            raise ContextOverflow(len(prompt), self.n_ctx)
        n_new = min(params.max_tokens, self.n_ctx - len(prompt))
        schema = params.json_schema
        grammar = None if schema is None else self._grammars.start(schema, n_new)
        return self._scheduler.submit(prompt, params, n_new, on_chunk, owner, grammar)

    def stream(
        self, messages: Messages, params: SamplingParams | None = None, owner: str = ""
    ) -> Iterator[Chunk]:
        """Yield the pieces of an answer as they come; closing the iterator cancels the request.

        The last piece carries the completion. Raises what ended the request otherwise, and as `submit`.
        """
        chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        handle = self.submit(messages, params, chunks.put, owner)
        return _ChunkStream(chunks, handle)

    def generate(self, messages: Messages, params: SamplingParams | None = None) -> Completion:
        """Answer one conversation. Raises as `submit`."""
        return self.generate_batch([(messages, params or SamplingParams())])[0]

    def generate_batch(self, requests: Sequence[tuple[Messages, SamplingParams]]) -> list[Completion]:
        """Answer several conversations in shared passes, as one owner; completions in the requests' order."""
        owner = uuid.uuid4().hex
        last: list[queue.SimpleQueue[Chunk]] = [queue.SimpleQueue() for _ in requests]

        def keep_last(box: queue.SimpleQueue[Chunk]) -> Callable[[Chunk], None]:
            def on_chunk(chunk: Chunk) -> None:
                if chunk.completion is not None or chunk.error is not None:
                    box.put(chunk)  # one wake-up per request instead of one per token

            return on_chunk

        running: list[RequestHandle] = []
        try:
            for (messages, params), box in zip(requests, last, strict=True):
                running.append(self.submit(messages, params, keep_last(box), owner))
            return [_completion(box.get()) for box in last]
        finally:
            for handle in running:
                handle.cancel()

    def logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Logits after each token of a sequence: float32 (len(token_ids), vocab_size).

        Raises ContextOverflow; NotFinite when the model computes no numbers; ValueError on an empty sequence
        or an id outside the vocabulary.
        """
        ids = self._checked(token_ids)
        out = np.empty((len(ids), self.vocab_size), np.float32)

        def keep(part: range, result: PassResult) -> None:
            out[part.start : part.stop] = result.logits

        self._scheduler.run_alone(lambda slot, blocks: self._run_alone(ids, keep, slot, blocks), len(ids))
        return out

    def routing(self, token_ids: Sequence[int]) -> RoutedTokens:
        """Which experts each token of a sequence goes to, computed anew. Raises as `logits`.

        Raises ValueError for a model without experts.
        """
        ids = self._checked(token_ids)
        if not self._transformer.hparams.n_experts:
            raise ValueError(f"{self.name} has no experts, so nothing is routed")
        parts: list[RoutedRows] = []

        def keep(part: range, result: PassResult) -> None:
            assert result.routed is not None
            parts.append(result.routed)

        self._scheduler.run_alone(lambda slot, blocks: self._run_alone(ids, keep, slot, blocks), len(ids))
        chosen, shares = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        texts = tuple(self.detokenize([token]) for token in ids)
        return RoutedTokens(chosen, shares, self._transformer.hparams.n_experts, texts, n_prompt=len(ids))

    def attention(self, token_ids: Sequence[int], layer: int) -> npt.NDArray[np.float32]:
        """How much each token of a short text takes of each one before it, in one layer, computed anew.

        float32 (n_heads, n, n), [h, i, j]: head h's weight of token j when token i is computed. At most
        MAX_ROWS tokens. Raises as `logits`; ValueError for more tokens or a layer that there is not.
        """
        ids = self._checked(token_ids)
        if len(ids) > MAX_ROWS:
            raise ValueError(f"attention is shown for at most {MAX_ROWS} tokens, not {len(ids)}")
        if not 0 <= layer < self.n_layers:
            raise ValueError(f"there is no layer {layer}; the model has {self.n_layers}")
        found: list[npt.NDArray[np.float32]] = []

        def look(slot: int, blocks: list[int]) -> None:
            self._transformer.set_table(slot, blocks)
            found.append(self._transformer.attention(ids, slot, layer))

        self._scheduler.run_alone(look, len(ids))
        return found[0]

    def _checked(self, token_ids: Sequence[int]) -> list[int]:
        ids = [int(token) for token in token_ids]
        if not ids:
            raise ValueError("logits needs at least one token id")
        wrong = [token for token in ids if not 0 <= token < self.vocab_size]
        if wrong:
            raise ValueError(f"token id {wrong[0]} is outside of the vocabulary of {self.vocab_size}")
        if len(ids) > self.n_ctx:
            raise ContextOverflow(len(ids), self.n_ctx)
        return ids

    def _run_alone(
        self, ids: list[int], keep: Callable[[range, PassResult], None], slot: int, blocks: list[int]
    ) -> None:
        """Compute a sequence in passes of which every row wants logits; `keep` is given each one's result."""
        self._transformer.set_table(slot, blocks)
        for start in range(0, len(ids), MAX_LOGIT_ROWS):
            part = range(start, min(start + MAX_LOGIT_ROWS, len(ids)))
            result = self._transformer.run([Row(ids[p], p, slot, True) for p in part])
            if result.broken:
                raise NotFinite(self.name, next(iter(result.broken.values())))
            keep(part, result)

    def _warm_up(self, progress: Progress | None) -> None:
        """Run one pass: the forward pass is compiled (or read from disk) here, not in the first request."""
        if progress is not None:
            progress("first pass", 0, 1)
        self.logits([0])
        if progress is not None:
            progress("first pass", 1, 1)

    @property
    def n_requests(self) -> tuple[int, int]:
        """How many requests run, and how many wait for a place."""
        return self._scheduler.n_requests

    @property
    def is_idle(self) -> bool:
        """Whether no request runs or waits."""
        return self._scheduler.is_idle

    @property
    def is_closed(self) -> bool:
        """Whether the engine was closed, or failed."""
        return self._scheduler.is_closed

    def close(self) -> None:
        """End running requests with EngineClosed and free the memory; harmless when repeated."""
        self._scheduler.close()
        self._transformer.free()

    def close_if_idle(self) -> bool:
        """Close the engine unless a request runs or waits; whether it was closed."""
        is_closed = self._scheduler.close(only_if_idle=True)
        if is_closed:
            self._transformer.free()
        return is_closed


class _ChunkStream(Iterator[Chunk]):
    """The pieces of one request. A generator would not notice being closed before its first piece."""

    def __init__(self, chunks: "queue.SimpleQueue[Chunk]", handle: RequestHandle) -> None:
        self._chunks = chunks
        self._handle = handle
        self._is_over = False

    def __next__(self) -> Chunk:
        if self._is_over:
            raise StopIteration
        chunk = self._chunks.get()
        self._is_over = chunk.error is not None or chunk.completion is not None
        if chunk.error is not None:
            raise chunk.error
        return chunk

    def close(self) -> None:
        """Cancel the request; harmless when it is over."""
        self._is_over = True
        self._handle.cancel()

    def __del__(self) -> None:
        self.close()


def _completion(chunk: Chunk) -> Completion:
    if chunk.error is not None:
        raise chunk.error
    assert chunk.completion is not None
    return chunk.completion


def plan_memory(name: str, gguf: GGUFFile, available_bytes: int) -> int:
    """How many bytes of KV cache a model may take out of `available_bytes`.

    Raises Unsupported as `check_formats`; OutOfMemory when not even a small cache fits beside the weights.
    """
    weights = weights_bytes(gguf)
    left = available_bytes - weights - OVERHEAD_BYTES
    if left < MIN_KV_CACHE_BYTES:
        needed = weights + OVERHEAD_BYTES + MIN_KV_CACHE_BYTES
        raise OutOfMemory(f"the model {name}", needed, available_bytes)
    return min(KV_CACHE_BYTES, max(MIN_KV_CACHE_BYTES, left // 2))
