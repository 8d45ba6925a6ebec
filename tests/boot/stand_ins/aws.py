"""Stands in for the AWS CLI: S3 is the folder STORE, Auto Scaling and CloudWatch Logs keep what they get."""

import json
import os
import shutil
import sys
from pathlib import Path

words = sys.argv[1:]
root = Path(os.environ["ROOT"])
with (root / "aws.calls").open("a") as log:
    print("\x1f".join(words), file=log)


def fails(what: str) -> bool:
    """Return whether this call is among the first N that the variable FAIL_<what> lets fail."""
    counter = root / f"{what}.failed"
    failed = int(counter.read_text()) if counter.exists() else 0
    counter.write_text(str(failed + 1))
    return failed < int(os.environ.get(f"FAIL_{what}", "0"))


def files(uri: str) -> dict[str, Path]:
    folder = Path(os.environ["STORE"]) / uri.removeprefix("s3://").rstrip("/")
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


match words[:2]:
    case ["s3", "ls"]:
        if os.environ.get("DENIED"):
            print("An error occurred (AccessDenied) when calling ListObjectsV2", file=sys.stderr)
            sys.exit(254)
        found = files(words[2])
        print(
            *(f"2026-11-22 00:00:00 {path.stat().st_size} {name}" for name, path in found.items()), sep="\n"
        )
        sys.exit(0 if found else 1)
    case ["s3", "sync"]:
        target = Path(words[3])
        source = files(words[2])
        if "--delete" in words:
            for path in target.rglob("*"):
                if path.is_file() and str(path.relative_to(target)) not in source:
                    path.unlink()
        for name, path in source.items():
            copy = target / name
            if copy.exists() and copy.stat().st_size == path.stat().st_size:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            if fails("SYNC"):
                # What the real one leaves when it is cut: a part under another name.
                copy.with_name(f"{copy.name}.6Ac91b2F").write_bytes(path.read_bytes()[:3])
                sys.exit("download failed: Connection reset by peer")
            with (root / "downloads").open("a") as log:
                print(name, file=log)
            shutil.copyfile(path, copy)
    case ["autoscaling", "complete-lifecycle-action"]:
        if fails("HOOK"):
            sys.exit(os.environ.get("HOOK_ERROR", "An error occurred (Throttling): Rate exceeded"))
    case ["logs", "put-log-events"]:
        events = json.loads(Path(words[words.index("--log-events") + 1].removeprefix("file://")).read_text())
        (root / "events.json").write_text(json.dumps(events))
    case ["logs", "create-log-stream"]:
        pass
    case _:
        sys.exit(f"the stand-in has no {words}")
