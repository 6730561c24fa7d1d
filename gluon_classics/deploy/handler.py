"""The handler that a worker of Multi Model Server runs: pictures to the most probable classes, as JSON.

It lies at the top of the model archive (see `archive`), next to the artifact and a copy of this package. The worker's
Python needs mxnet, numpy, Pillow and tqdm. The body of a request is a picture file. A bad request is answered with 4xx
and {"error": ...}, and does not disturb the others in its batch. Bodies are never logged. The server's metrics log has
DecodeTime and ForwardTime of each batch, in milliseconds.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from http import HTTPStatus
from time import perf_counter
from typing import Any

from gluon_classics.data.files.image_files import BadImage
from gluon_classics.inference.prediction import best_classes, read_stored
from gluon_classics.inference.predictor import Predictor

import mxnet as mx
import numpy as np

ARTIFACT = "artifact"  # its folder in the archive
TOP = 5
MOST_BYTES = 10_000_000  # of a body
# and image/..., and none; in any case the bytes decide
TYPES = ("application/octet-stream", "binary/octet-stream", "application/x-image", "*/*", "")

_predictor: Predictor | None = None


class Refused(Exception):
    """A request that cannot be answered, with the status and the reason."""

    def __init__(self, status: HTTPStatus, reason: str):
        super().__init__(reason)
        self.status = status


def handle(requests: list[dict[str, Any]] | None, context: Any) -> list[bytes] | None:
    """Return one JSON text per request. The server first calls this with None, which loads the network."""
    global _predictor
    if _predictor is None:
        folder = context.system_properties["model_dir"]
        _predictor = Predictor.from_artifact(os.path.join(folder, ARTIFACT), mx.cpu())
    if requests is None:
        return None
    context.get_response_headers = lambda _i: {}  # see _padded; otherwise the content type is looked up in the headers
    context.get_response_content_type = lambda _i: "application/json"
    began = perf_counter()
    answers = [_read(request, context.request_processor[i]) for i, request in enumerate(requests)]
    good = [answer for answer in answers if not isinstance(answer, Refused)]
    decoded = perf_counter()
    probabilities = iter(_predictor(np.stack(good)) if good else ())
    computed = perf_counter()
    context.metrics.add_time("DecodeTime", round(1e3 * (decoded - began), 2))
    context.metrics.add_time("ForwardTime", round(1e3 * (computed - decoded), 2))
    return [_answer(answer, probabilities, context, i) for i, answer in enumerate(answers)]


def _read(request: dict, headers: Any) -> np.ndarray | Refused:
    """Return the picture's pixels, as the training set would store them."""
    assert _predictor is not None
    try:
        return read_stored(io.BytesIO(_body(request, headers)), _predictor.channels, _predictor.image_size)
    except BadImage as error:
        return Refused(HTTPStatus.BAD_REQUEST, f"the picture {error}")
    except MemoryError:
        return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "there is not enough memory for the picture")
    except Refused as refused:
        return refused


def _body(request: dict, headers: Any) -> bytes:
    properties = {str(key).lower(): value for key, value in headers.get_request_properties().items()}
    kind = str(properties.get("content-type", "")).split(";")[0].strip().lower()
    if kind not in TYPES and not kind.startswith("image/"):
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the Content-Type is {kind}: send a picture, as image/png")
    body = request.get("body")
    if not isinstance(body, (bytes, bytearray)) or not body:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is empty: send a picture file")
    if len(body) > MOST_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has {len(body):,} bytes of {MOST_BYTES:,}")
    return bytes(body)


def _answer(answer: np.ndarray | Refused, probabilities: Iterator[np.ndarray], context: Any, i: int) -> bytes:
    if isinstance(answer, Refused):
        context.set_response_status(answer.status.value, answer.status.phrase, i)
        return _padded({"error": str(answer)}, len(answer.status.phrase))
    assert _predictor is not None
    best = best_classes(next(probabilities), _predictor.classes, TOP)
    return _padded({"predictions": [{"class": name, "probability": round(value, 6)} for name, value in best]}, 0)


def _padded(content: dict, phrase: int) -> bytes:
    """Return JSON, padded with spaces.

    Multi Model Server reads the answers of a batch in pieces whose sizes are multiples of 16. If a piece ends within a
    status or a header, it takes the worker for broken and kills it. The first status is at bytes 86 to 89. An answer
    takes 76 bytes plus its phrase and its text: padded to a multiple of 16, no status is cut. Headers would be, so
    handle() sends none; the content type has a field of its own.
    """
    text = json.dumps(content).encode()
    return text + b" " * (-(len(text) + phrase + 76) % 16)
