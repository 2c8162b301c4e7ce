"""How many threads numerical libraries start.

Left alone they start one for each CPU of the *host*. With a limit of two CPUs on a
host of 64 these would mostly wait for each other.

Run as a program, it prints what a shell shall evaluate.
"""

import os

import cgroup

# Not here, because they respect the limit by themselves: what is written in Go or Rust,
# and joblib. PyTorch listens to the first three.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

# Remembers which variables are ours and what we set them to, "2 OMP_NUM_THREADS …":
# ours follow a limit that is changed later, those of the user stay.
OURS = "LAB_WORKSPACE_THREADS"


def variables(environment) -> dict[str, str]:
    """What to set in this environment so that it fits the limit of CPUs of now."""
    before, *ours = environment.get(OURS, "").split() or [""]
    free = [
        name
        for name in VARIABLES
        if name not in environment or (name in ours and environment[name] == before)
    ]
    # numexpr fails if it is told to use more threads than its maximum.
    if "NUMEXPR_NUM_THREADS" not in free and "NUMEXPR_MAX_THREADS" in free:
        free.remove("NUMEXPR_MAX_THREADS")
    # Who sets only the general one means the special ones, too: they would win over it.
    wish = environment.get("MAX_NUM_THREADS", "auto")
    if not wish.isdigit() and "OMP_NUM_THREADS" not in free:
        wish = environment["OMP_NUM_THREADS"]
    threads = wish if wish.isdigit() else str(max(1, round(cgroup.cpu_limit())))
    return {**dict.fromkeys(free, threads), OURS: " ".join([threads, *free])}


if __name__ == "__main__":
    for name, value in variables(os.environ).items():
        print(f"export {name}='{value}'")
