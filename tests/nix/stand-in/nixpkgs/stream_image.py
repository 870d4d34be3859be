"""Makes a docker archive of one layer: the same input gives the same bytes.

usage: stream_image.py layer FOLDER > LAYER
       stream_image.py image LAYER SETTINGS REFERENCE > ARCHIVE
"""

import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile
from collections.abc import Callable

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file without an owner of this host, and without a time."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 1
    return info


def entry(name: str, data: bytes) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    return plain(info), io.BytesIO(data)


def layer(folder: str) -> None:
    """Nix's store knows no modes but two, so a layer is packed before it comes into the store."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            tar.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=plain)


def image(packed: str, settings: str, reference: str) -> None:
    files = pathlib.Path(packed).read_bytes()
    digest = hashlib.sha256(files).hexdigest()
    description = {
        "architecture": ARCHITECTURES[os.uname().machine],
        "os": "linux",
        "created": "1970-01-01T00:00:01Z",
        "config": json.loads(pathlib.Path(settings).read_text()),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "1970-01-01T00:00:01Z", "created_by": "the stand-in nixpkgs"}],
    }
    config = json.dumps(description, sort_keys=True).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        tar.addfile(*entry(f"{digest}/layer.tar", files))
        tar.addfile(*entry(name, config))
        tar.addfile(*entry("manifest.json", json.dumps(manifest).encode()))


if __name__ == "__main__":
    verbs: dict[str, Callable[..., None]] = {"layer": layer, "image": image}
    verbs[sys.argv[1]](*sys.argv[2:])
