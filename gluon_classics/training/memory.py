"""Errors and advice when a batch does not fit into memory."""

from __future__ import annotations


def out_of_memory(error: Exception) -> bool:
    """Return whether MXNet ran out of memory, on a CPU or a GPU."""
    text = str(error).lower()
    return "failed to allocate cpu memory" in text or "out of memory" in text


def advice_on_memory(batch_size: int, accumulate: int) -> str:
    """Return which flags to try instead: fewer images at a time, or smaller ones if it is one already."""
    if accumulate >= batch_size:
        return "not even one image at a time fits into memory: try a smaller --resize"
    slices = min(2 * accumulate, batch_size)
    fewer = max(batch_size // 2, accumulate)  # a batch has at least as many images as slices
    return (
        f"a batch of {batch_size} images in {accumulate} slice(s) does not fit into memory: try --accumulate {slices} "
        f"(the same batch, fewer images at a time), --batch-size {fewer}, or --auto-batch, which finds out"
    )
