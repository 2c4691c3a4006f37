"""The runtime of models on an Open Inference server over REST: ``oip+http://host:port/name``.

===============  =========================================================  =======
parameter        meaning                                                    default
===============  =========================================================  =======
``timeout_ms``   how long connecting, and each wait for the answer's next   30000
                 bytes, may take; less when the request's deadline is near
``payload``      ``json``, ``binary`` (raw tensors behind the JSON), or     auto
                 ``auto``: binary where the server says that it takes it
===============  =========================================================  =======

Nothing is asked of the server before the first call, so it may start later and come and go.
"""

import weakref
from typing import Self

import httpx
import orjson

from dfml.errors import ModelError, PayloadError
from dfml.inference.rest_binary import JSON_LENGTH_HEADER
from dfml.spec.schema import Model
from dfml_engine.runtimes.base import Context, RuntimeOptions, Tensors
from dfml_engine.runtimes.parameters import read_parameters
from dfml_engine.runtimes.remote import TIMEOUT_MS, RemoteModel, trace_headers
from dfml_engine.runtimes.rest_body import parse_response, render_request

PAYLOADS = {"json": False, "binary": True, "auto": None}
BINARY_EXTENSION = "binary_tensor_data"
MAX_TEXT = 300
"""How many characters of a foreign error text are passed on."""


class RestRuntime:
    """A model behind a REST server, with connections that are kept between calls.

    Parameters
    ----------
    remote : RemoteModel
        Where it is.
    binary : bool or None
        Whether tensors are sent raw; None asks the server.
    """

    def __init__(self, remote: RemoteModel, *, binary: bool | None = None) -> None:
        self._remote = remote
        self._binary = binary
        self._path = f"/v2/models/{remote.remote_name}/infer"
        # A proxy of the environment is meant for the world outside; model servers are neighbours.
        transport = httpx.HTTPTransport(retries=1, trust_env=False)
        self._client = httpx.Client(base_url=f"http://{remote.address}", transport=transport, trust_env=False)
        weakref.finalize(self, self._client.close)

    @classmethod
    def load(cls, model: Model, options: RuntimeOptions) -> Self:
        """Take the model's address; the server is not called yet.

        Raises
        ------
        ModelError
            If the storageUri or a parameter is wrong.
        """
        parameters = read_parameters(model, {"timeout_ms": TIMEOUT_MS, "payload": "auto"})
        payload = parameters["payload"]
        if payload not in PAYLOADS:
            msg = f"model '{model.name}': parameter payload is {payload!r}, expected one of {', '.join(PAYLOADS)}"
            raise ModelError(msg)
        return cls(RemoteModel.of(model, parameters["timeout_ms"]), binary=PAYLOADS[payload])

    def infer(self, inputs: Tensors, context: Context) -> Tensors:
        """Call the server.

        Raises
        ------
        ModelError
            If it cannot be reached, does not answer in time, answers with an error (status and text are in the error's
            text) or with what is no answer.
        """
        seconds = self._remote.seconds_left(context)
        request = self._remote.request(inputs, context)
        body = render_request(request, context.parameters, binary=self._takes_binary(seconds))
        headers = {**body.headers, **trace_headers(context)}
        answer = self._send("POST", self._path, seconds, content=body.content, headers=headers)
        if answer.status_code != httpx.codes.OK:
            msg = f"answered {answer.status_code}: {_error_text(answer)}"
            raise self._remote.error(msg)
        try:
            return parse_response(answer.content, answer.headers.get(JSON_LENGTH_HEADER))
        except PayloadError as error:
            msg = f"answered with what is no answer: {error}"
            raise self._remote.error(msg) from error

    def _takes_binary(self, seconds: float) -> bool:
        """Return whether the server takes raw tensors; it is asked once."""
        if self._binary is None:
            answer = self._send("GET", "/v2", seconds)
            self._binary = answer.status_code == httpx.codes.OK and BINARY_EXTENSION in answer.text
        return self._binary

    def _send(
        self,
        method: str,
        path: str,
        seconds: float,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._client.request(method, path, content=content, headers=headers, timeout=seconds)
        except httpx.TimeoutException as error:
            msg = f"did not answer within {seconds * 1000:.0f} ms"
            raise self._remote.error(msg) from error
        except httpx.TransportError as error:
            msg = f"cannot be reached: {error}"
            raise self._remote.error(msg) from error


def _error_text(answer: httpx.Response) -> str:
    """Return the text of the protocol's error body, or else the beginning of whatever the body is."""
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        document = None
    text = document.get("error") if isinstance(document, dict) else None
    return str(text or answer.text)[:MAX_TEXT] or "no text"
