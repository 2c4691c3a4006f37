"""A model on another server: where it is, how long a call may take, under which id it is asked."""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self
from urllib.parse import urlsplit

from dfml import headers as h
from dfml.clock import Clock, wall_clock_ms
from dfml.errors import ModelError, PayloadError
from dfml.inference.codec import encode_request
from dfml.inference.oip_pb2 import InferRequest
from dfml.spec.schema import Model
from dfml_engine.runtimes.base import Context, Tensors
from dfml_engine.runtimes.parameters import read_milliseconds

TIMEOUT_MS = "30000"
"""The default of the parameter ``timeout_ms``: as long as a call of a model's code may take by default."""
MAX_ID_LENGTH = 200
"""How much of a request's id goes into a call's id, which servers limit (ours to 256)."""
_NOT_IN_IDS = re.compile(r"[^\x20-\x2b\x2d-\x7e]")
"""What a server may refuse in an id, as ours does: all but printable ASCII, and the comma."""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """The model ``name`` of ours, served as ``remote_name`` at ``address`` (``host:port``)."""

    name: str
    address: str
    remote_name: str
    timeout_ms: int
    clock: Clock = wall_clock_ms

    @classmethod
    def of(cls, model: Model, timeout_ms: str) -> Self:
        """Read a model's storageUri ``oip+http://host:port/name`` or ``oip+grpc://host:port/name``.

        Raises
        ------
        ModelError
            If it lacks host or name, or the timeout is no number of milliseconds.
        """
        parts = urlsplit(model.spec.storage_uri)
        remote_name = parts.path.strip("/")
        if not parts.netloc or not remote_name:
            form = f"{parts.scheme}://host:port/name"
            msg = f"model '{model.name}': storageUri is {model.spec.storage_uri!r}, expected {form}"
            raise ModelError(msg)
        return cls(model.name, parts.netloc, remote_name, read_milliseconds(model, "timeout_ms", timeout_ms))

    def seconds_left(self, context: Context) -> float:
        """Return how long a call for this request may take: the timeout, or less where its caller stops waiting before.

        Raises
        ------
        ModelError
            If the caller has stopped waiting already.
        """
        deadline = context.headers.get(h.DEADLINE, b"")
        left_ms = min(self.timeout_ms, int(deadline) - self.clock()) if deadline.isdigit() else self.timeout_ms
        if left_ms <= 0:
            msg = "was not called: the request's deadline is over"
            raise self.error(msg)
        return left_ms / 1000

    def request(self, inputs: Tensors, context: Context) -> InferRequest:
        """Return the message to send.

        Its id is the request's, our model's name and a digest of the tensors, joined by ``~``. A server that
        remembers ids, as dfml does, then takes the visits of a loop and the calls of two steps for what they are, and a
        call that is made again for the same.

        Raises
        ------
        ModelError
            If a tensor's dtype has no datatype.
        """
        try:
            request = encode_request(inputs, model_name=self.remote_name, request_id="")
        except PayloadError as error:
            msg = f"cannot be sent its inputs: {error}"
            raise self.error(msg) from error
        digest = blake2b(request.SerializeToString(deterministic=True), digest_size=6).hexdigest()
        own = _NOT_IN_IDS.sub("_", context.request_id[:MAX_ID_LENGTH])
        request.id = f"{own}~{self.name[:40]}~{digest}"
        return request

    def error(self, what: str) -> ModelError:
        """Return an error that says which model, where, and what about it."""
        return ModelError(f"model '{self.name}', served as '{self.remote_name}' at {self.address}, {what}")


def trace_headers(context: Context) -> dict[str, str]:
    """Return the headers that tie the call to the request's trace on the other server."""
    traceparent = context.headers.get(h.TRACEPARENT)
    return {h.TRACEPARENT: traceparent.decode("latin-1")} if traceparent else {}
