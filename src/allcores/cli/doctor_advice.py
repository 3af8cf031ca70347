"""What is worth knowing about an environment. Pure: from facts to sentences, each of which ends with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
KERNEL_VARIABLES = ("OPENBLAS_CORETYPE", "MKL_DEBUG_CPU_TYPE", "NPY_DISABLE_CPU_FEATURES")
VARIABLES = (*THREAD_VARIABLES, *KERNEL_VARIABLES, "PYTHONHASHSEED", "PYTHONDEVMODE", "PYTHONMALLOC")

FEW_BYTES_A_CORE = 512 << 20
FEW_DESCRIPTORS = 256


def advice(report: Mapping[str, Any]) -> list[str]:
    """Everything to look at, the most telling first."""
    return [
        *_cores(report["machine"]),
        *_memory(report),
        *_python(report),
        *_environment(report["environment"]),
    ]


def emulation(architecture: str, cpuinfo: str, kernel: str) -> str | None:
    """What pretends to be the machine underneath, or None; each slows system calls, forks or all code.

    >>> emulation("x86_64", "vendor_id : VirtualApple", "Linux version 6.6")
    'Rosetta'
    """
    if "VirtualApple" in cpuinfo:
        return "Rosetta"
    if "gVisor" in kernel:
        return "gVisor"
    if "Microsoft" in kernel and "WSL2" not in kernel:
        return "WSL 1"
    if architecture in ("x86_64", "i686") and "CPU implementer" in cpuinfo:
        return "QEMU (an Intel program on an ARM machine)"
    return None


def _cores(machine: Mapping[str, Any]) -> Iterator[str]:
    affinity, visible, quota = machine["affinity_cores"], machine["visible_cores"], machine["quota_cores"]
    if quota is not None and quota < affinity:
        yield (
            f"A quota of {quota:g} cores lies below the {affinity} that are visible: allcores keeps to it, other "
            "libraries may not. Raise the container's CPU limit, or set OMP_NUM_THREADS for the others."
        )
    if affinity < visible:
        yield (
            f"This process may run on {affinity} of {visible} cores (taskset, a batch system or a cpuset). "
            "Start it without the restriction to use the others."
        )
    if machine["cores"] == 1:
        yield "One core: only work that waits can gain from allcores here. Give the process more cores."


def _memory(report: Mapping[str, Any]) -> Iterator[str]:
    machine, limits = report["machine"], report["limits"]
    if machine["available_bytes"] < FEW_BYTES_A_CORE * machine["cores"]:
        yield (
            f"Only {machine['available_bytes'] >> 20} MiB of memory are free for {machine['cores']} workers. "
            "Free some, raise the limit, or pass a smaller n_jobs."
        )
    files = limits.get("open_files")
    if files is not None and files < FEW_DESCRIPTORS:
        yield f"Only {files} files may be open at once. Raise it with `ulimit -n 1024`."
    if limits.get("address_space_bytes") is not None:
        yield (
            f"The address space is limited to {limits['address_space_bytes'] >> 20} MiB, which shared memory counts "
            "against. Lift it with `ulimit -v unlimited`."
        )


def _python(report: Mapping[str, Any]) -> Iterator[str]:
    python = report["python"]
    if tuple(python["version_info"][:2]) < (3, 12):
        yield f"Python {python['version']} is of the oldest line that is supported. Plan to move to a newer one."
    if python["debug_build"]:
        yield "This is a debug build of Python, several times slower than a normal one. Use a release build."
    if python["emulation"]:
        yield f"Everything runs under {python['emulation']}. Use an interpreter made for this machine."
    load, cores = report["load"], report["machine"]["cores"]
    if load is not None and load > cores / 2:
        yield (
            f"Other work keeps the machine busy (load {load:.1f} on {cores} cores), so the figures above are too high "
            "and gains will be small. Measure again when it is quiet."
        )


def _environment(variables: Mapping[str, str]) -> Iterator[str]:
    for name in THREAD_VARIABLES:
        if name in variables:
            yield (
                f"{name}={variables[name]} limits the threads of numeric libraries in the loop as well. Unset it "
                "unless that is meant."
            )
    for name in KERNEL_VARIABLES:
        if name in variables:
            yield f"{name}={variables[name]} forces numeric code for another processor. Unset it to compare speeds."
    if "PYTHONHASHSEED" in variables:
        yield (
            f"PYTHONHASHSEED={variables['PYTHONHASHSEED']} fixes the order of sets of strings. Do not rely on it: "
            "sort where the order matters."
        )
    for name in ("PYTHONDEVMODE", "PYTHONMALLOC"):
        if name in variables:
            yield f"{name}={variables[name]} makes Python slower. Unset it outside of debugging."
