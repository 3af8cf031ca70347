"""Operations that several threads may run at once and that let go of the GIL while they compute.

Only these may be chosen for computing on threads by ``engine="auto"``, and only if everything that a function
reaches is among them or plain Python. What is not listed is not unsafe: nobody has looked it up. Operations that
BLAS computes (``dot``, ``@``, ``linalg``) are missing on purpose, since they keep all cores busy by themselves.
"""

from __future__ import annotations

from allcores.core.records import NamedTuple


class Entry(NamedTuple):
    """Operations with one source.

    Attributes:
        names: of functions (``numpy.sort``) and methods (``numpy.ndarray.sum``), by the first part of their module.
        returns: name of the type of what they return, where that matters for what is called on it.
        source: who says so.
    """

    names: tuple[str, ...]
    returns: str | None
    source: str


_NUMPY = "https://numpy.org/doc/stable/reference/thread_safety.html"
_RANDOM = "https://numpy.org/doc/stable/reference/random/multithreading.html"
_HASHLIB = "https://docs.python.org/3/library/hashlib.html (larger than 2047 bytes: the GIL is released)"
_ZLIB = "https://docs.python.org/3/library/zlib.html; CPython Modules/zlibmodule.c: Py_BEGIN_ALLOW_THREADS"
_BZ2 = "CPython Modules/_bz2module.c: Py_BEGIN_ALLOW_THREADS, a lock for each compressor"
_LZMA = "CPython Modules/_lzmamodule.c: Py_BEGIN_ALLOW_THREADS, a lock for each compressor"
_LIBSVM = (
    "https://github.com/scikit-learn/scikit-learn/blob/main/sklearn/svm/_libsvm.pyx (nogil); "
    "with probability=True it draws from one generator for all threads"
)
_SCORE = (
    "https://github.com/scikit-learn/scikit-learn/blob/main/sklearn/base.py "
    "(`predict`, and a metric that reads both arrays)"
)

ARRAY = "numpy.ndarray"
GENERATOR = "numpy.Generator"

TABLE = (
    Entry(
        tuple(
            f"numpy.{name}"
            for name in (
                *(
                    "sort",
                    "argsort",
                    "partition",
                    "argpartition",
                    "cumsum",
                    "cumprod",
                    "diff",
                    "clip",
                    "where",
                ),
                *("concatenate", "stack", "zeros", "ones", "empty", "full", "arange", "linspace", "asarray"),
                *("array", "copy", "ascontiguousarray", "zeros_like", "ones_like", "empty_like", "roll"),
                *("take", "repeat", "tile", "unique", "searchsorted", "bincount", "histogram", "quantile"),
                *("median", "percentile", "convolve", "correlate", "interp", "flip", "nan_to_num"),
            )
        ),
        ARRAY,
        _NUMPY,
    ),
    Entry(
        tuple(
            f"numpy.{name}"
            for name in (
                "sum",
                "prod",
                "mean",
                "std",
                "var",
                "min",
                "max",
                "amin",
                "amax",
                "argmin",
                "argmax",
            )
        )
        + tuple(f"numpy.{name}" for name in ("any", "all", "count_nonzero", "nansum", "nanmean", "ptp")),
        None,
        _NUMPY,
    ),
    Entry(("numpy.ufunc",), ARRAY, _NUMPY + " (every ufunc of NumPy)"),
    Entry(
        tuple(
            f"{ARRAY}.{name}"
            for name in (
                *(
                    "sort",
                    "argsort",
                    "partition",
                    "argpartition",
                    "cumsum",
                    "cumprod",
                    "clip",
                    "copy",
                    "astype",
                ),
                *("reshape", "ravel", "flatten", "transpose", "squeeze", "take", "repeat", "round", "view"),
                *("swapaxes", "searchsorted", "sum", "prod", "mean", "std", "var", "min", "max", "argmin"),
                *("argmax", "any", "all", "item", "tolist", "tobytes", "fill", "nonzero", "ptp", "T"),
            )
        ),
        ARRAY,
        _NUMPY,
    ),
    Entry(("numpy.default_rng",), GENERATOR, _RANDOM),
    Entry(
        tuple(
            f"{GENERATOR}.{name}"
            for name in (
                "random",
                "standard_normal",
                "normal",
                "uniform",
                "integers",
                "exponential",
                "poisson",
            )
        ),
        ARRAY,
        _RANDOM + " (a generator of its own for each item)",
    ),
    Entry(
        tuple(
            f"hashlib.{name}" for name in ("openssl_sha256", "openssl_sha512", "openssl_sha1", "openssl_md5")
        )
        + tuple(f"hashlib.openssl_{name}" for name in ("sha224", "sha384", "sha3_256", "sha3_512"))
        + ("blake2.blake2b", "blake2.blake2s"),
        "hashlib.HASH",
        _HASHLIB,
    ),
    Entry(tuple(f"hashlib.HASH.{name}" for name in ("update", "digest", "hexdigest")), None, _HASHLIB),
    Entry(("hashlib.pbkdf2_hmac", "hashlib.scrypt"), None, _HASHLIB),
    Entry(("zlib.compress", "zlib.decompress", "zlib.crc32", "zlib.adler32"), None, _ZLIB),
    Entry(("bz2.compress", "bz2.decompress"), None, _BZ2),
    Entry(("lzma.compress", "lzma.decompress"), None, _LZMA),
    Entry(("sklearn.SVC", "sklearn.SVC.fit"), "sklearn.SVC", _LIBSVM),
    Entry(("sklearn.SVR", "sklearn.SVR.fit"), "sklearn.SVR", _LIBSVM),
    Entry(("sklearn.SVC.predict", "sklearn.SVR.predict"), ARRAY, _LIBSVM),
    Entry(("sklearn.SVC.score", "sklearn.SVR.score"), None, _SCORE),
)
# Plain Python that may stand between them: it holds the GIL, and changes nothing that others see.
PLAIN = frozenset(
    f"builtins.{name}"
    for name in (
        *("abs", "bool", "bytes", "divmod", "enumerate", "float", "int", "isinstance", "len", "list", "max"),
        *(
            "min",
            "pow",
            "range",
            "reversed",
            "round",
            "slice",
            "sorted",
            "str",
            "sum",
            "tuple",
            "zip",
            "complex",
        ),
        *("dict", "set"),
    )
)
# Of these types items, captured values and globals may be.
DATA = frozenset(
    f"builtins.{name}"
    for name in ("int", "float", "complex", "bool", "str", "bytes", "NoneType", "range", "slice")
) | {ARRAY}
HOLDERS = frozenset(("builtins.tuple", "builtins.list", "builtins.dict"))

RETURNS = {name: entry.returns for entry in TABLE for name in entry.names}
