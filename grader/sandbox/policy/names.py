"""Which modules and names a submission may use. Policy (before it runs) and guard (while it runs) share
these."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ALLOWED_MODULES = _words(
    """__future__ abc array bisect calendar cmath collections collections.abc contextlib copy csv
    dataclasses datetime decimal enum fractions functools graphlib heapq itertools json logging math
    numbers operator pprint random re statistics string sys textwrap time typing unicodedata warnings
    zoneinfo"""
)
"""Importable in a submission. Each is handed out as a copy that holds its public names only."""

PARTIAL_MODULES = {
    "io": _words("StringIO BytesIO"),
    "types": _words("SimpleNamespace MappingProxyType"),
    "traceback": _words("print_exc format_exc print_stack print_exception"),
    "doctest": _words("testmod"),
    "unittest": _words("TestCase main"),
}
"""Importable with these names only; what would print, test or look at the stack does nothing."""

NEWER_NAMES = {
    "builtins": _words("PythonFinalizationError"),
    "calendar": _words(
        """Day Month JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER"""
    ),
    "collections.abc": _words("Buffer"),
    "copy": _words("replace"),
    "csv": _words("QUOTE_STRINGS QUOTE_NOTNULL __version__"),
    "enum": _words("EnumDict"),
    "itertools": _words("batched"),
    "logging": _words("getHandlerNames getHandlerByName"),
    "math": _words("sumprod fma"),
    "random": _words("binomialvariate"),
    "re": _words("PatternError template"),
    "statistics": _words("kde kde_random"),
    "typing": _words(
        """override TypeAliasType get_protocol_members is_protocol NoDefault TypeIs ReadOnly
        CapsuleType"""
    ),
    "warnings": _words("deprecated"),
}
"""What Python 3.12 and 3.13 added or dropped: a submission finds the same names on every version."""

FORBIDDEN_MODULES = _words(
    """os posix nt codecs subprocess multiprocessing threading _thread concurrent asyncio socket ssl
    select selectors signal ctypes _ctypes cffi mmap gc inspect importlib imp pkgutil runpy builtins
    atexit pty tty termios fcntl resource shutil tempfile pathlib glob pickle marshal shelve dbm
    sqlite3 code codeop ast dis symtable tokenize linecache faulthandler trace tracemalloc pdb
    bdb cProfile profile timeit weakref sysconfig site platform urllib http ftplib smtplib webbrowser
    xmlrpc pwd grp grader moa_core wse_backend pages _io _socket _posixsubprocess _testcapi
    _xxsubinterpreters _interpreters xxlimited zipimport zipfile tarfile getpass secrets
    uuid"""
)
"""Reach outside the process or into the interpreter: using one is a forbidden move, importing it unused is
not."""

HARMLESS_DUNDERS = _words(
    """__abs__ __add__ __all__ __and__ __author__ __bool__ __bytes__ __call__ __ceil__ __class_getitem__
    __contains__ __copy__ __copyright__ __credits__ __date__ __debug__ __deepcopy__ __delitem__
    __divmod__ __doc__ __email__ __enter__ __eq__ __exit__ __file__ __float__ __floor__ __floordiv__
    __format__ __future__ __ge__ __getitem__ __gt__ __hash__ __iadd__ __iand__ __imul__ __index__
    __init__ __init_subclass__ __int__ __invert__ __ior__ __isub__ __iter__ __itruediv__ __ixor__ __le__
    __len__ __length_hint__ __license__ __lshift__ __lt__ __main__ __matmul__ __missing__ __mod__ __mul__
    __name__ __ne__ __neg__ __new__ __next__ __or__ __pos__ __post_init__ __pow__ __qualname__ __radd__
    __rand__ __rdivmod__ __repr__ __reversed__ __rfloordiv__ __rmod__ __rmul__ __ror__ __round__ __rpow__
    __rshift__ __rsub__ __rtruediv__ __rxor__ __set_name__ __setitem__ __sizeof__ __slots__ __status__
    __str__ __sub__ __truediv__ __trunc__ __version__ __xor__"""
)
"""Double-underscore names an honest class or module uses. None of them leads from one object to the
interpreter."""

FORBIDDEN_ATTRIBUTES = _words(
    """f_back f_builtins f_code f_globals f_lasti f_lineno f_locals f_trace f_trace_lines f_trace_opcodes
    f_generator tb_frame tb_next tb_lasti gi_frame gi_code gi_yieldfrom gi_running cr_frame cr_code
    cr_origin cr_await ag_frame ag_code ag_await func_globals func_code func_closure co_code co_consts
    co_names co_varnames mro _getframe _current_frames settrace setprofile gettrace getprofile
    addaudithook meta_path path_hooks path_importer_cache displayhook excepthook unraisablehook
    currentframe get_type_hints ForwardRef evaluate_forward_ref findCaller walk_stack walk_tb Formatter
    get_field call_tracing _getframemodulename _clear_type_cache
    _debugmallocstats set_int_max_str_digits set_coroutine_origin_tracking_depth setswitchinterval"""
)
"""Attributes that lead to frames, code and the interpreter, or evaluate text that nobody looked at."""

LOGGING_FORMATTER = "Formatter"
"""`logging.Formatter` is harmless; `string.Formatter` walks attributes by text."""

FORBIDDEN_NAMES = _words(
    "eval exec compile open __import__ globals locals breakpoint __builtins__ __loader__ __spec__"
)
"""Built-ins a submission must not name, unless it defines the name itself."""

MISSING_BUILTINS = FORBIDDEN_NAMES | frozenset({"help", "copyright", "credits", "license"})
"""Built-ins a submission does not find."""

PUBLIC_UNDERSCORE = _words(
    "_asdict _replace _fields _make _field_defaults _value_ _name_ _missing_ _generate_next_value_"
)
"""Names with one underscore that the standard library documents for everybody."""

SYS_NAMES = _words(
    """maxsize float_info int_info hash_info version version_info platform byteorder implementation
    hexversion getsizeof intern getrecursionlimit api_version copyright maxunicode"""
)
"""What the submission's `sys` has, beside stand-ins for stdout, stderr, argv, exit and setrecursionlimit."""

TICK, SCAN, VARS, TYPE = "__moa_tick__", "__moa_scan__", "__moa_vars__", "__moa_type__"
OWN, RETURN, FORMAT = "__moa_own__", "__moa_return__", "__moa_format__"
SCAN_IN, SCAN_LAZILY = "__moa_scan_in__", "__moa_scan_lazily__"
"""Names only the instrumentation writes; the policy refuses every double-underscore name it does not know."""
