"""Replaces a finished output in an object store by another, and ends such a swap where a crash cut it short.

The new output is built in ``<out>.recinfer-new``. When it is complete, a mark is written into it. Only then does the
old ``_SUCCESS`` go, so that nobody trusts what follows: every object of the build is copied into place, what is left of
the old output is deleted, and the new ``_SUCCESS`` is copied last. Then the build goes: its ``_SUCCESS`` first, so that
its copying is not begun again, its mark last. Each step can be done twice, and the next job on the folder goes on
where one was cut off.
"""

from __future__ import annotations

from recinfer.data.layout import Layout
from recinfer.data.storage.client import ObjectClient
from recinfer.data.storage.lease import LEASE
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.swap import build_folder


def swap(client: ObjectClient, target: RemotePath) -> None:
    """Puts the finished build in the place of ``target``."""
    client.write(Layout(build_folder(target)).swap.key, f"replaces {target}\n".encode())
    end_swap(client, target)


def is_cut(client: ObjectClient, target: RemotePath) -> bool:
    """Whether a swap was begun and not ended."""
    return client.info(Layout(build_folder(target)).swap.key) is not None


def end_swap(client: ObjectClient, target: RemotePath) -> bool:
    """Does what is left to do of a swap, with the target's lease held; True where there was one."""
    if not is_cut(client, target):
        return False
    build = Layout(build_folder(target))
    if client.info(build.success.key) is not None:
        _copy_over(client, build, Layout(target))
        client.delete([build.success.key])
    remove_all(client, build.root, keep=build.swap)
    client.delete([build.swap.key])
    return True


def remove_all(client: ObjectClient, folder: RemotePath, keep: RemotePath | None = None) -> None:
    """Deletes everything below a folder, but a file or folder that is to stay."""
    kept = keep.key if keep else ""
    client.delete(
        [info.key for info in client.below(f"{folder.key}/") if not kept or not _is_at_or_below(info.key, kept)]
    )


def _copy_over(client: ObjectClient, build: Layout[RemotePath], target: Layout[RemotePath]) -> None:
    client.delete([target.success.key])
    skipped = {build.swap.key, build.success.key}
    pairs = [
        (info, f"{target.root.key}/{info.key.removeprefix(build.root.key + '/')}")
        for info in client.below(f"{build.root.key}/")
        if info.key not in skipped
    ]
    client.copy(pairs)
    fresh = {key for _, key in pairs}
    lease = (target.control / LEASE).key
    client.delete(
        [
            info.key
            for info in client.below(f"{target.root.key}/")
            if info.key not in fresh and not _is_at_or_below(info.key, lease)
        ]
    )
    success = client.info(build.success.key)
    assert success is not None, "the build was complete a moment ago, and its lease is ours"
    client.copy([(success, target.success.key)])


def _is_at_or_below(key: str, folder: str) -> bool:
    return key == folder or key.startswith(f"{folder}/")
