"""How the engine runs. Frozen, and checked when made."""

from __future__ import annotations

from dataclasses import dataclass

from pysmdl.errors import one_of, whole_number, yes_or_no

BACKENDS = ("auto", "cpu", "cuda", "triton", "reference")
PRECISIONS = ("model", "mixed", "mixed-float16")


@dataclass(frozen=True)
class EngineConfig:
    """Settings that change the engine's speed or memory, never an answer (compile: but for rounding).

    Attributes:
        batch_size: Rows of one forward pass. None lets the engine find it, once for a scorer (32 where deterministic).
            Memory errors halve it.
        backend: Implementation of the ops: "auto", "cpu", "cuda", "triton" or "reference", each op on that one where it
            has it.
        deterministic: Give each input batches of its own, all of one size: the same bits whatever else is in flight.
        max_searches: Inputs in flight at once.
        slots: Batches in flight at once on a GPU; None: 2. On the CPU a batch is done when it is sent.
        loaders: Threads that read and divide inputs before the engine has room for them; 0: none, each when it has.
            None: up to 4 on a GPU; none on the CPU, where the model wants the cores. What calls code of yours (regions
            given as a function) or reads a GPU's memory is not left to them; images and arrays that are given to them
            are read or copied first.
        memory_bytes: Bound for one composed batch.
        precision: "model": the model's own. "mixed": candidates are scored under bfloat16 autocast, and the first three
            of each round, and those within a measured margin of the best, again in the model's own, so that the order
            is the same; for the searches that support it. "mixed-float16": float16 instead, which rounds eight times
            finer, for models whose layers stay below 65,504. What the result says of gains that grew is then of the
            scores as they came. Experimental: no card has shown yet that either is faster.
        ahead: Score what a search will ask next along with what it asks now: what the searches from both ends know of
            it but for one subset, and what follows upon the candidates of exact and backward greedy that are likely to
            win. Answers are the same; notes["ahead"] counts the rows that nobody asked for afterwards. Never under a
            budget. None: where one input has a GPU to itself and batches were seen to take hardly longer for it,
            unless deterministic, and only what is sure where batches run as graphs, one for each number of rows; never
            on a CPU, where counts would depend on the clock, or with an endpoint, whose requests may cost. True:
            whenever a batch has room, or an endpoint's idle places; a number: at most so many rows a round. False:
            never.
        graphs: Capture batches of graph-safe scorers in CUDA graphs. They stay with the scorer, and so does the memory
            that their kernels work in.
        compile: Run the model's functions through torch.compile, which takes its time at the first batches. Scores then
            round as the compiled model's do. Not for removal="token-drop".
    """

    batch_size: int | None = None
    backend: str = "auto"
    deterministic: bool = False
    max_searches: int = 32
    slots: int | None = None
    loaders: int | None = None
    memory_bytes: int = 1 << 28
    precision: str = "model"
    ahead: bool | int | None = None
    graphs: bool = True
    compile: bool = False

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise one_of("backend", self.backend, BACKENDS)
        if self.precision not in PRECISIONS:
            raise one_of("precision", self.precision, PRECISIONS)
        for name in ("deterministic", "graphs", "compile"):
            object.__setattr__(self, name, yes_or_no(name, getattr(self, name)))
        if self.ahead is not None and not isinstance(self.ahead, bool):
            object.__setattr__(self, "ahead", whole_number("ahead, if not None, True or False,", self.ahead, 0))
        if self.ahead and self.deterministic:
            raise ValueError(f"ahead must be None or False where deterministic; got {self.ahead}")
        for name in ("batch_size", "max_searches", "slots", "loaders", "memory_bytes"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole_number(name, value, 0 if name == "loaders" else 1))
