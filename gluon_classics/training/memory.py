"""What to do when a batch does not fit into memory."""

from __future__ import annotations


def out_of_memory(error: Exception) -> bool:
    """Whether MXNet could not get memory, on a CPU or a GPU."""
    text = str(error).lower()
    return "failed to allocate cpu memory" in text or "out of memory" in text


def advice_on_memory(batch_size: int, accumulate: int) -> str:
    """Which settings to try instead."""
    return (
        f"a batch of {batch_size} images in {accumulate} slice(s) does not fit into memory: try --accumulate "
        f"{2 * accumulate} (the same batch, half as many images at a time), or --batch-size {max(1, batch_size // 2)}, "
        f"or let --auto-batch find out"
    )
