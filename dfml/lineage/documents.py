"""Documents of pipelines that others run: the store needs them to know what came from what.

Where dfml runs the pipelines, the store has their documents from the topic of loaded specs. A foreign installation
has no such topic, so the tap is given the documents.
"""

from collections.abc import Iterable

import orjson

from dfml.lineage.store import LineageStore
from dfml.record import Record, TopicPartition
from dfml.spec.dump import dump_resource
from dfml.spec.schema import AnyResource
from dfml.topics import Topics


def keep_documents(store: LineageStore, topics: Topics, resources: Iterable[AnyResource], now_ms: int) -> None:
    """Write documents as the topic of loaded specs would have brought them; one that is known is not written again.

    The positions that they get are made up, so it must be a namespace without that topic.
    """
    offset = store.positions().get(TopicPartition(topics.specs, 0), 0)
    records: list[Record] = []
    for resource in resources:
        dumped, known = dump_resource(resource), store.specs(resource.kind, resource.name)
        if known and orjson.loads(known[-1].document)["resource"] == orjson.loads(orjson.dumps(dumped)):
            continue
        version = known[-1].version + 1 if known else 1
        said = {"kind": resource.kind, "name": resource.name, "version": version, "loaded_ms": now_ms}
        key = f"{resource.kind}/{resource.name}/{version}".encode()
        value = orjson.dumps({**said, "resource": dumped})
        records.append(Record(topics.specs, 0, offset + len(records), key, value, (), now_ms))
    store.write(records)
