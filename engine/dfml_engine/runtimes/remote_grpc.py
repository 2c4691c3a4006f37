"""The runtime of models on an Open Inference server over gRPC: ``oip+grpc://host:port/name``.

The model's parameter ``timeout_ms`` is how long a call may take (default 30000; less when the request's deadline is
near). It needs the extra ``grpc``. The messages are our own, which are the protocol's on the wire, and methods are
called by name: another library's copy of the protocol may live in the same process.
"""

import weakref
from typing import Any, Self

from dfml.errors import ModelError, PayloadError
from dfml.inference.codec import decode_tensors
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.spec.schema import Model
from dfml_engine.runtimes.base import Context, RuntimeOptions, Tensors
from dfml_engine.runtimes.parameters import read_parameters
from dfml_engine.runtimes.remote import TIMEOUT_MS, RemoteModel, trace_headers

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
CHANNEL_OPTIONS = (
    # gRPC refuses answers over 4 MB by default; the log's own limits are the ones that count.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A proxy of the environment is meant for the world outside; model servers are neighbours.
    ("grpc.enable_http_proxy", 0),
    # gRPC waits up to two minutes before it connects again; a server that is restarted is back in seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class GrpcRuntime:
    """A model behind a gRPC server, on one channel.

    Parameters
    ----------
    remote : RemoteModel
        Where it is.
    grpc : module
        The library, which is imported by :meth:`load`.
    """

    def __init__(self, remote: RemoteModel, grpc: Any) -> None:
        self._remote = remote
        self._rpc_error: type[Exception] = grpc.RpcError
        channel = grpc.insecure_channel(remote.address, options=CHANNEL_OPTIONS)
        self._infer = channel.unary_unary(
            MODEL_INFER,
            request_serializer=InferRequest.SerializeToString,
            response_deserializer=InferResponse.FromString,
        )
        weakref.finalize(self, channel.close)

    @classmethod
    def load(cls, model: Model, options: RuntimeOptions) -> Self:
        """Take the model's address; the server is not called yet.

        Raises
        ------
        ModelError
            If the storageUri or a parameter is wrong, or grpcio is not installed.
        """
        remote = RemoteModel.of(model, read_parameters(model, {"timeout_ms": TIMEOUT_MS})["timeout_ms"])
        try:
            import grpc  # noqa: PLC0415  (of the extra)
        except ImportError as error:
            msg = f"model '{model.name}' ({model.spec.storage_uri}): grpcio is not installed; "
            raise ModelError(msg + "install dfml with its extra 'grpc', or reach the server by oip+http") from error
        return cls(remote, grpc)

    def infer(self, inputs: Tensors, context: Context) -> Tensors:
        """Call the server.

        Raises
        ------
        ModelError
            If it cannot be reached, does not answer in time, answers with an error (its code and text are in the
            error's text) or with tensors that are malformed.
        """
        seconds = self._remote.seconds_left(context)
        request = self._remote.request(inputs, context)
        metadata = tuple(trace_headers(context).items())
        try:
            answer: InferResponse = self._infer(request, timeout=seconds, metadata=metadata)
            return decode_tensors(answer)
        except self._rpc_error as error:
            msg = f"answered {_spell(error)}"
            raise self._remote.error(msg) from error
        except PayloadError as error:
            msg = f"answered with what is no answer: {error}"
            raise self._remote.error(msg) from error


def _spell(error: Any) -> str:
    return f"{error.code().name}: {error.details() or 'no text'}"
