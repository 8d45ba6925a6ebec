"""Model files come from object storage and are kept on the machine."""

from gpuwright_policies.facts import ModelStore
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

OBJECT_STORES = ("s3://", "gs://")


def check(store: ModelStore) -> Violation | None:
    """Ask where the files come from, then whether a restart finds them on the machine."""
    if not store.uri.startswith(OBJECT_STORES):
        place = store.uri or "no store of ours"
        return Violation(f"model files come from {place}", f"object storage ({' or '.join(OBJECT_STORES)})")
    if not store.cached_locally:
        return Violation(
            f"model files are read from {store.uri} at every start", "a copy on the machine's own disk"
        )
    return None


RULE = Rule(
    id="model-store",
    title="model files in object storage, with a copy on the machine",
    severity=Severity.HIGH,
    kind=Kind.HARD,
    provenance=Provenance(
        "document A, network and storage: they decide concurrency and cold start",
        "For model files, mounting high-performance object storage is recommended, with a cache so that "
        "they are not pulled from afar each time.",
    ),
    applies_to=ModelStore,
    check=check,
    why="A start that pulls tens of GB from a public hub is slow, and fails whenever the hub does.",
    fix="Put the model into the deployment's bucket and have the boot script copy it to the local disk.",
    passes=(ModelStore("m", "s3://bucket/model/main/", True), ModelStore("m", "gs://bucket/model/", True)),
    fails=(
        ModelStore("m", "", False),
        ModelStore("m", "https://example.com/model", True),
        ModelStore("m", "s3://bucket/model/", False),
    ),
)
