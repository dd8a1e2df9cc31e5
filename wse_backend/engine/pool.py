"""Several models at once: engines loaded on demand and shared, within one memory budget."""

import threading
from pathlib import Path
from time import perf_counter

from wse_backend import models
from wse_backend.engine.engine import OVERHEAD_BYTES, Engine, plan_memory
from wse_backend.engine.loading import Load
from wse_backend.errors import OutOfMemory
from wse_backend.machine import memory_available_bytes
from wse_backend.weights.catalog import Progress
from wse_backend.weights.gguf_file import GGUFFile, open_gguf

BUDGET_SHARE = 0.8  # of the memory that is available when the pool is made; the rest is the app's


class EnginePool:
    """Loads each model once for all sessions. Thread-safe.

    When the next model does not fit into the budget, the idle one that was used longest ago is closed.
    """

    def __init__(
        self,
        models_dir: Path | None = None,
        budget_bytes: int | None = None,
        accepts_paths: bool = True,
    ) -> None:
        """accepts_paths: False where model names come from strangers; see `models.ensure`."""
        self._models_dir = models_dir
        self._accepts_paths = accepts_paths
        self.budget_bytes = (
            int(memory_available_bytes() * BUDGET_SHARE) if budget_bytes is None else budget_bytes
        )
        self._engines: dict[str, Engine] = {}
        self._loads: dict[str, Load] = {}  # those under way on threads of their own
        self._used_at: dict[str, float] = {}  # when each was asked for last
        self._lock = threading.RLock()  # guards the table
        self._loading = threading.Lock()  # one model is loaded at a time

    def engine(self, name_or_path: str, progress: Progress | None = None) -> Engine:
        """Return the engine of a model, loading it first when needed.

        Raises as `Engine.load`; OutOfMemory when it does not fit even with all idle models closed.
        """
        found = self._loaded(name_or_path)
        if found is not None:
            return found
        # A file that is still on its way holds up nobody who wants another model.
        path = models.ensure(name_or_path, progress, self._models_dir, accepts_paths=self._accepts_paths)
        with self._loading:
            found = self._loaded(name_or_path)  # somebody else may have loaded it while we waited
            if found is not None:
                return found
            gguf = open_gguf(path)
            name = name_or_path if name_or_path in models.CARDS else path.stem
            kv_cache_bytes = self._make_room(name, gguf)
            engine = Engine(name, gguf, kv_cache_bytes, progress)
            with self._lock:
                self._engines[name_or_path] = engine
                self._used_at[name_or_path] = perf_counter()
            return engine

    def start_loading(self, name_or_path: str) -> Load:
        """Load a model on a thread of its own: the loading under way, or a new one; ended when it is here.

        It goes on whoever stops waiting for it, so nobody's leaving interrupts a download.
        """
        with self._lock:
            load = self._loads.get(name_or_path)
            if load is not None:
                return load
            load = Load(name_or_path)
            load.engine.set_running_or_notify_cancel()  # from now on nobody who waits can cancel it
            found = self._loaded(name_or_path)
            if found is not None:
                load.engine.set_result(found)
                return load
            name = f"load-{name_or_path}"
            threading.Thread(target=self._load, args=(load,), name=name, daemon=True).start()
            self._loads[name_or_path] = load  # the thread needs the lock before it can end
            return load

    def _load(self, load: Load) -> None:
        try:
            engine = self.engine(load.model, load.report)
        except BaseException as exc:  # the thread's outer edge: those who wait raise it
            self._forget(load)
            load.engine.set_exception(exc)
        else:
            self._forget(load)
            load.engine.set_result(engine)

    def _forget(self, load: Load) -> None:
        """Before it ends: whoever sees that it failed and asks again begins anew."""
        with self._lock:
            del self._loads[load.model]

    def loaded(self) -> list[Engine]:
        """The engines that are loaded now."""
        with self._lock:
            return list(self._engines.values())

    def close(self) -> None:
        """Close all engines."""
        with self._lock:
            engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            engine.close()

    def _loaded(self, name: str) -> Engine | None:
        with self._lock:
            engine = self._engines.get(name)
            if engine is None or engine.is_closed:
                self._engines.pop(name, None)
                return None
            self._used_at[name] = perf_counter()
            return engine

    def _make_room(self, name: str, gguf: GGUFFile) -> int:
        """Close idle models until this one fits; return the KV cache it may have. Raises as `plan_memory`."""
        while True:
            with self._lock:
                taken = sum(need_bytes(engine) for engine in self._engines.values())
            try:
                return plan_memory(name, gguf, self.budget_bytes - taken)
            except OutOfMemory as exc:
                if not self._close_oldest():
                    raise OutOfMemory(exc.what, exc.needed_bytes, self.budget_bytes - taken) from None

    def _close_oldest(self) -> bool:
        """Close the engine that has been idle longest; False when all are at work."""
        with self._lock:
            by_use = sorted(self._engines, key=lambda key: self._used_at[key])
            for key in by_use:
                if self._engines[key].close_if_idle():  # a request that came just now keeps it open
                    del self._engines[key]
                    return True
        return False


def need_bytes(engine: Engine) -> int:
    """What a loaded engine counts in the budget: weights, its whole KV cache, and overhead."""
    return engine.size_bytes + engine.kv_cache_bytes + OVERHEAD_BYTES
