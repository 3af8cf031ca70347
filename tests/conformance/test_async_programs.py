"""Whole programs with coroutine functions: they say nothing on stderr and leave nothing, however they end."""

import importlib.util
import os
import re
import subprocess
import sys
import textwrap

import pytest

PREAMBLE = """
import asyncio, atexit, os, sys, threading
import allcores as ac

async def double(x):
    await asyncio.sleep(0)
    return 2 * x

async def stay(x):
    await asyncio.sleep(1000 if x else 0)
    return x

"""

ENDS = {
    "a list": "print(ac.map(double, range(3)))",
    "a stream left open": "s = iter(ac.par(range(10**9), n_jobs=20).map(double)); print([next(s), next(s), next(s)])",
    "a stream whose items wait": "s = iter(ac.par(range(10**9), n_jobs=20).map(stay)); print([next(s), 2, 4])",
    "a call at exit": "atexit.register(lambda: print(ac.map(double, range(3))))",
    "a wrapper at exit": "atexit.register(lambda: print(ac.map(lambda x: double(x), range(3))))",
    "a wrapper at exit, for asyncio": """
        atexit.register(lambda: print(ac.map(lambda x: double(x), range(3), engine='asyncio')))
    """,
    "a call behind the main thread": """
        def late():
            threading.main_thread().join()
            print(ac.map(double, range(3)))
        threading.Thread(target=late).start()
    """,
    "a call in a forked child": """
        s = iter(ac.par(range(10**9), n_jobs=20).map(double))
        next(s)
        child = os.fork()
        if child == 0:
            print(ac.map(double, range(3)), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        s.close()
    """,
    "a forked child that exits as programs do": """
        s = iter(ac.par(range(10**9), n_jobs=20).map(stay))
        next(s)
        child = os.fork()
        if child == 0:
            sys.exit()
        os.waitpid(child, 0)
        print(ac.map(double, range(3)))
    """,
    "an async stream left open": """
        async def main():
            async for y in ac.par(range(10**9), n_jobs=20).map(double):
                if y == 4:
                    break
            print(await ac.amap(double, range(3)))
        asyncio.run(main())
    """,
    "a loop that ends before its job": """
        async def main():
            asyncio.create_task(ac.amap(stay, range(100)))
            await asyncio.sleep(0.05)
            print([0, 2, 4])
        asyncio.run(main())
    """,
}


def run(text, *flags, **more):
    code = PREAMBLE + textwrap.dedent(text)
    return subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=50, **more
    )


@pytest.mark.parametrize("flags", [(), ("-X", "dev", "-W", "error")], ids=["plain", "development mode"])
@pytest.mark.parametrize("end", ENDS)
def test_programs_with_coroutines_end_quietly(end, flags):
    if "fork" in end and sys.version_info >= (3, 12):  # forking beside a thread is warned of, rightly
        flags = ("-W", "ignore::DeprecationWarning", *(flag for flag in flags if flag not in ("-W", "error")))
    done = run(ENDS[end], *flags)
    said = [
        line for line in done.stderr.splitlines() if not re.search(r"^Executing .* seconds$", line)
    ]  # slow machine
    assert (done.returncode, done.stdout, said) == (0, "[0, 2, 4]\n", [])


def test_ctrl_c_cancels_coroutines_and_ends_the_program():
    text = """
        import signal
        began, ended = [], []
        async def stay(x):
            began.append(x)
            if len(began) == 50:
                os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append(x)
        for call in (lambda: ac.map(stay, range(50)), lambda: asyncio.run(ac.amap(stay, range(50)))):
            try:
                call()
            except KeyboardInterrupt:
                while threading.active_count() > 1:  # the thread that called for amap is about to end
                    pass
                print(sorted(began) == sorted(ended) == list(range(50)))
            began.clear(); ended.clear()
    """
    done = run(text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n" * 2, "")


def test_a_program_without_coroutines_does_not_import_asyncio():
    text = """
        import sys
        import allcores as ac
        ac.map(abs, range(2000)), ac.par(range(2000)).map(abs).sum(), ac.map(abs, range(9), engine="threads")
        print("asyncio" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=50
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


NOTEBOOK = """
import nbclient, nbformat
cells = [
    "import asyncio, threading, allcores as ac",
    "async def double(x):\\n    await asyncio.sleep(0)\\n    return 2 * x",
    "print(ac.map(double, range(3)), ac.par(range(3)).map(double).sum())",
    "print(await ac.amap(double, range(3)), await ac.amap(abs, range(3)))",
    "print([y async for y in ac.par(range(3)).map(double)])",
    "print([each.name for each in threading.enumerate() if each.name.startswith('allcores')])",
    "def shown(x):\\n    print('row', x)\\n    return x",
    "print(sum(ac.map(shown, range(30), progress='rows', engine='processes', n_jobs=2)))",
]
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(book, timeout=40, kernel_name="python3").execute()
*cells, _, bar = book.cells
for cell in cells:
    for output in cell.outputs:
        print(output.name, output.text, end="")
said = {"stdout": "", "stderr": ""}
for output in bar.outputs:
    said[output.name] += output.text
assert said["stdout"].split("\\n") == [*(f"row {x}" for x in range(30)), "435", ""], said
assert "rows: 100%" in said["stderr"] and "30/30" in said["stderr"], said
print("[the bar is whole]")
"""


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("ipykernel", "nbclient", "nbformat")),
    reason="needs a Jupyter kernel",
)
def test_a_notebook_whose_loop_runs(tmp_path):
    environ = {**os.environ, "JUPYTER_PATH": f"{sys.prefix}/share/jupyter", "IPYTHONDIR": str(tmp_path)}
    environ["JUPYTER_PLATFORM_DIRS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        capture_output=True,
        text=True,
        timeout=120,
        env=environ,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("stdout") or line.startswith("[")]
    assert said == [
        "stdout [0, 2, 4] 6",
        "stdout [0, 2, 4] [0, 1, 2]",
        "stdout [0, 2, 4]",
        "stdout []",
        "[the bar is whole]",
    ]
    assert done.stdout.count("await allcores.amap") == 1
